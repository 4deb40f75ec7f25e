"""Whose turn it is, by a clock that moves from one wait to the next."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from segops_durable.system.clock import Clock, Moment

if TYPE_CHECKING:
    import random
    import threading
    from collections.abc import Callable

    from segops_durable.system.bell import Bell

EPOCH = 1_800_000_000.0
"""The time of day at which the moved clock is 0."""

BOOT_BEFORE, BOOT = 0, 1
"""Of a device that had no power: in which it tracked, and in which it sends."""


class Turn(greenlet):
    """The course of one device: it goes on where it has waited.

    Args:
        number: The device's; of two that wait for the same instant the lower comes first.
        work: What it does.
    """

    def __init__(self, number: int, work: Callable[[], object]) -> None:
        super().__init__(lambda _value: work())
        self.number = number


class Loop:
    """All that wait, in one process.

    Attributes:
        now: Seconds by the moved clock; they never go back.
    """

    def __init__(self) -> None:
        self.now: float = 0.0
        self._waits: list[tuple[float, int, int, Turn, Any]] = []
        self._count = 0

    @property
    def next_at(self) -> float | None:
        """When the next one is to go on; None if nobody waits for a time."""
        return self._waits[0][0] if self._waits else None

    def begin(self, number: int, work: Callable[[], object], at: float) -> Turn:
        """Have a device begin its course at some time."""
        turn = Turn(number, work)
        self.wake(turn, at)
        return turn

    def wake(self, turn: Turn, at: float, value: object = None) -> None:
        """Have one go on at some time, with what it has waited for.

        Raises:
            ValueError: That time is over.
        """
        if at < self.now:
            raise ValueError(f"the clock is at {self.now!r}: it cannot go back to {at!r}")
        self._count += 1
        heapq.heappush(self._waits, (at, turn.number, self._count, turn, value))

    def sleep(self, seconds: float) -> None:
        """Hand over until a time; called in the course of a device."""
        self.wake(_here(), self.now + max(0.0, seconds))
        self.hand_over()

    def hand_over(self) -> Any:  # noqa: ANN401 - whatever it is woken with
        """Hand over until somebody wakes this course; give what it is woken with."""
        parent = _here().parent
        if parent is None:
            raise RuntimeError("nobody to hand over to")
        return parent.switch()

    def run(self, until: float) -> None:
        """Let everybody go on whose time comes before another."""
        while self._waits and self._waits[0][0] < until:
            self.now, _, _, turn, value = heapq.heappop(self._waits)
            turn.switch(value)


class MovedClock(Clock):
    """The clocks of one device, and its chance.

    Args:
        loop: Knows the time.
        chance: What is drawn from.
        draws: Whether anything is drawn; else each wait is the shortest that it may be.
        before_wait: Called before the flusher waits.

    Attributes:
        boot: Which boot it is.
        behind: Seconds that the time of day is behind; of what was before that boot.
    """

    def __init__(
        self, loop: Loop, chance: random.Random, *, draws: bool, before_wait: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._chance = chance
        self._draws = draws
        self._before_wait = before_wait
        self.boot: int = BOOT
        self.behind: float = 0.0

    def monotonic(self) -> float:
        """Seconds since all began."""
        return self._loop.now

    def uptime(self) -> float:
        """The same: no device sleeps."""
        return self._loop.now

    def time(self) -> float:
        """Unix time."""
        return EPOCH + self._loop.now - self.behind

    def moment(self) -> Moment:
        """Now."""
        return Moment(self.time(), self._loop.now, self.boot)

    def draw(self, low: float, high: float) -> float:
        """Draw a number from the device's own generator."""
        return self._chance.uniform(low, high) if self._draws else low

    def sleep(self, stop: threading.Event, seconds: float) -> bool:
        """Let others go on meanwhile."""
        if not stop.is_set():
            self._loop.sleep(seconds)
        return stop.is_set()

    def wait_for(self, bell: Bell, is_met: Callable[[], bool], seconds: float) -> bool:  # noqa: ARG002 - nobody rings
        """Let others go on meanwhile."""
        self._before_wait()
        if is_met():
            return True
        self._loop.sleep(seconds)
        return is_met()


def _here() -> Turn:
    here = getcurrent()
    if not isinstance(here, Turn):
        raise TypeError("only in the course of a device may be waited")
    return here
