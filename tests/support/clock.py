"""A clock that moves when somebody waits on it, so that an hour passes in no time."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from segops_durable.system.clock import Clock, Moment

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from segops_durable.system.bell import Bell


class MovableClock(Clock):
    """A clock of which waits are no waits.

    Args:
        now: What it shows.
        chance: What it draws from. Defaults to the system's, which cannot be repeated.
    """

    def __init__(self, now: float = 1_800_000_000.0, chance: random.Random | None = None) -> None:
        self._now = now
        self._chance = chance
        self._ahead = 0.0
        self.boot = 1
        self._booted_at = 0.0
        self._lock = threading.Lock()

    def set(self, ahead: float) -> None:
        """Set the time of day, which moves nothing else: so many seconds ahead of the truth."""
        self._ahead = ahead

    def move(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds

    def monotonic(self) -> float:
        return self._now

    def reboot(self, seconds_ago: float = 0.0) -> None:
        """Start the machine anew, so many seconds ago."""
        self.boot += 1
        self._booted_at = self._now - seconds_ago

    def uptime(self) -> float:
        return self._now - self._booted_at

    def time(self) -> float:
        return self._now + self._ahead

    def moment(self) -> Moment:
        return Moment(self.time(), self.uptime(), self.boot)

    def draw(self, low: float, high: float) -> float:
        return super().draw(low, high) if self._chance is None else self._chance.uniform(low, high)

    def sleep(self, stop: threading.Event, seconds: float) -> bool:
        if not stop.is_set():
            self.move(seconds)
        return stop.is_set()

    def wait_for(self, bell: Bell, is_met: Callable[[], bool], seconds: float) -> bool:
        if is_met():
            return True
        bell.wait(0.001)  # lets others go on
        self.move(seconds)
        return is_met()


class FastClock(Clock):
    """The machine's clocks, running so many times as fast; waits are so many times shorter."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began = Clock().moment()
        self._since = time.monotonic()

    @property
    def _passed(self) -> float:
        return (time.monotonic() - self._since) * self._speed

    def monotonic(self) -> float:
        return self._passed

    def uptime(self) -> float:
        return (self._began.uptime or 0.0) + self._passed

    def time(self) -> float:
        return self._began.wall + self._passed

    def moment(self) -> Moment:
        return Moment(self.time(), self.uptime(), self._began.boot)

    def sleep(self, stop: threading.Event, seconds: float) -> bool:
        return super().sleep(stop, seconds / self._speed)

    def wait_for(self, bell: Bell, is_met: Callable[[], bool], seconds: float) -> bool:
        return super().wait_for(bell, is_met, seconds / self._speed)
