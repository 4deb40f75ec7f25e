"""Who waits for a turn: those whose events go first before the others, and none for ever."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from segops_durable.events import PRIORITIES
from segops_durable.identity import rank_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TURNS_BEFORE_OTHERS = 9
"""Turns that those of a higher priority have before one of a lower has one."""


class Lines:
    """Lanes in the order of their turns: a line for each priority. For one thread."""

    def __init__(self) -> None:
        self._lines: tuple[deque[str], ...] = tuple(deque() for _ in PRIORITIES)
        self._turns = [0 for _ in PRIORITIES]  # of each line, while somebody stood in a lower one

    def __bool__(self) -> bool:
        return any(self._lines)

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            yield from tuple(line)

    def __contains__(self, lane: str) -> bool:
        return lane in self._lines[rank_of(lane)]

    def append(self, lane: str) -> None:
        """Let a lane stand in its line, as the last."""
        self._lines[rank_of(lane)].append(lane)

    def extend(self, lanes: Iterable[str]) -> None:
        """Let lanes stand in their lines, one after the other."""
        for each in lanes:
            self.append(each)

    def popleft(self) -> str:
        """Whose turn it is: the first of the first line; now and then of the next.

        Raises:
            IndexError: Nobody waits.
        """
        ranks = [rank for rank, line in enumerate(self._lines) if line] or [0]
        for rank in ranks[:-1]:
            self._turns[rank] += 1
            if self._turns[rank] <= TURNS_BEFORE_OTHERS:
                return self._lines[rank].popleft()
            self._turns[rank] = 0
        return self._lines[ranks[-1]].popleft()
