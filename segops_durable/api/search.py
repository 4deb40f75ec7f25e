"""The search for a share of the limit: what it asks for, and what it has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segops_durable.api.let_through import LetThrough

_MINUTE = 60.0
_LONG_WAIT = 20.0
"""Seconds: who is told to wait so long has met a window that is used up, and no bucket."""

_SHORTEST_WINDOW = 40.0
"""Seconds since a search began after which such a window says what its share is."""


@dataclass
class Search:
    """The search for a share.

    Attributes:
        began: When its first request had its turn; None before.
        since: When the rate was last doubled.
        refused_at: When a request was first refused in it.
    """

    began: float | None = None
    since: float = 0.0
    refused_at: float | None = None

    def is_over(self, now: float, wait: float) -> bool:
        """Whether it has found what there is.

        Args:
            now: The time.
            wait: Seconds that SegOps asked to wait when it last refused.
        """
        if self.began is None or self.refused_at is None:
            return False
        if wait >= _LONG_WAIT:
            return now - self.began >= _SHORTEST_WINDOW
        # a bucket: nothing was refused for a minute before the rate was doubled
        return self.since > self.began or now - self.since >= _MINUTE

    def found(self, through: LetThrough, now: float, wait: float) -> int:
        """How many requests were let through in the minute that it goes by; see `is_over`."""
        if self.began is None or self.refused_at is None:
            return 0
        end = self.refused_at if wait >= _LONG_WAIT else now
        return through.since(max(self.began, end - _MINUTE))
