"""A record of a file that cannot be read, by itself."""

from __future__ import annotations

from typing import NamedTuple


class BadRecord(NamedTuple):
    """A record that is no CSV, or too long.

    Attributes:
        reason: Why.
        start: Its beginning, as text.
    """

    reason: str
    start: str
