"""What a note says of a rate, as far as it can be meant: damaged ones say anything."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST = 1 / 60
"""Calls a minute below which no refusal pushes a device."""

MOST = 1e6
"""Calls a minute beyond which nothing is a limit; a note that says more is not meant."""

DAY = 86_400.0
"""Seconds; how much longer than that a limit has been met for makes no difference."""

_LONGEST_ROW = 100_000
_MINUTE = 60.0


def rate_of(value: object) -> float | None:
    """A rate, or a plateau, that was read; None if that cannot be meant."""
    return _number(value, LEAST, MOST)


def row_of(value: object) -> int:
    """How many requests in a row were not refused, as was read; 0 if that cannot be meant."""
    found = _number(value, 0, _LONGEST_ROW)
    return 0 if found is None else int(found)


def seconds_of(value: object) -> float:
    """For how long the limit had been met, as was read; a day if that cannot be meant."""
    found = _number(value, 0, DAY)
    return DAY if found is None else found


def spare_of(kept: Mapping[str, Any]) -> float | None:
    """What a rate has grown by until now, as was read; None if that cannot be meant.

    Nothing after a power cut: a fleet that was without power would come as one.
    """
    found, unused = _number(kept.get("spare"), 0, MOST), _number(kept.get("unused"), 0, math.inf)
    if found is None or kept.get("is_after_power_cut") is True:
        return None if found is None else 0.0
    return min(found + (unused or 0.0) / _MINUTE, MOST)


def _number(value: object, least: float, most: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, float | int):
        return None
    return float(value) if least <= value <= most else None
