"""Values of a damaged file, of whatever type, as what they should have been."""

from __future__ import annotations

from typing import TypeGuard

_END_OF_TIME = 253_402_300_800.0
"""The year 10000, which no calendar here has."""


def is_time(value: object) -> TypeGuard[float]:
    """Whether a value is a Unix time that every calendar has; not infinite, and no NaN."""
    return isinstance(value, float) and 0.0 <= value < _END_OF_TIME


def as_bytes(data: object) -> bytes:
    """Bytes as they are, and whatever else a damaged file makes of them as text."""
    return data if isinstance(data, bytes) else str(data).encode(errors="replace")
