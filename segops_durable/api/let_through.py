"""How many requests were let through of late: what a share of the limit is found by."""

from __future__ import annotations

import math
from collections import deque

_KEPT_SECONDS = 180


class LetThrough:
    """How many requests were let through, by the second, in the last three minutes."""

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = deque()  # each with its count

    def note(self, now: float) -> None:
        """Count one more."""
        second = math.floor(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1][1] += 1
            return
        self._seconds.append([second, 1])
        while self._seconds[0][0] < second - _KEPT_SECONDS:
            self._seconds.popleft()

    def since(self, then: float) -> int:
        """How many there were since a time, which is no longer ago."""
        return sum(count for second, count in self._seconds if second >= math.floor(then))
