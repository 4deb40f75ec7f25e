"""Rounds that somebody asks for, and the news that one is over.

Nothing here takes a lock: a signal handler may interrupt any instruction, and call in again.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from segops_durable.system.bell import Bell

if TYPE_CHECKING:
    from collections.abc import Iterator


class RoundRequests:
    """Numbers the requests; a round answers all that came before it began."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._unseen: deque[int] = deque()  # by the thread that runs the rounds
        self._newest = 0  # of those that it has seen
        self._answered = 0  # the newest that a whole round has answered
        self._fulfilled = 0  # likewise, by a round of the process that sends
        self._listeners: list[Bell] = []

    def add(self) -> int:
        """Ask for a round; return the number of the request."""
        number = next(self._numbers)
        self._unseen.append(number)
        return number

    def is_answered(self, request: int) -> bool:
        """Whether a whole round was run since that request."""
        return self._answered >= request

    def is_fulfilled(self, request: int) -> bool:
        """Whether one was in which this process was the sender."""
        return self._fulfilled >= request

    @contextmanager
    def listening(self) -> Iterator[Bell]:
        """Give what rings whenever a round is over."""
        news = Bell()
        self._listeners.append(news)
        try:
            yield news
        finally:
            self._listeners.remove(news)

    # For the thread that runs the rounds

    def look(self) -> bool:
        """Look for new requests; say whether any is unanswered."""
        while self._unseen:
            self._newest = max(self._newest, self._unseen.popleft())
        return self._newest > self._answered

    def answer(self, *, is_standby: bool = False) -> None:
        """Note that a round is over, which began after the last look.

        Args:
            is_standby: Another process sends, so nothing was done in it. Defaults to False.
        """
        self._answered = self._newest
        if not is_standby:
            self._fulfilled = self._newest
        self.tell()

    def tell(self) -> None:
        """Wake those who listen."""
        for each in tuple(self._listeners):
            each.ring()
