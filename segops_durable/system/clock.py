"""The clocks, in one place that a test can move: for waits, and for when something happened.

Chance has a part in waits, so it is here as well, where a simulation can seed it.

A board without a battery boots in 1970 and is set right when the network comes. So next to
the time of day goes what nobody sets: the time since the boot.
"""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from segops_durable.system.bell import Bell

PLAUSIBLE = 1_767_225_600.0
"""The year 2026: a clock that shows an earlier time has not been set."""

JITTER_SECONDS = 0.01
"""Two clocks cannot be read at one instant; a smaller difference is no setting of a clock.

If another thread comes between, the difference is larger, and the correction is by as much.
"""

_JUST_BOOTED = 600.0
"""Seconds: programs that come with the machine have been started by then."""

_RANDOM = random.SystemRandom()
"""Of our own, and of the system's: the program's may be seeded, and what is drawn from it
changes its results; a fleet that is seeded alike would come as one, and so would children."""


class Moment(NamedTuple):
    """When something happened, by two clocks.

    Attributes:
        wall: Unix time in seconds, as the clock showed it.
        uptime: Seconds since the boot; None where `wall` is not to be corrected.
        boot: Which boot that was.
    """

    wall: float
    uptime: float | None = None
    boot: int | None = None


class Clock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """Seconds that only ever grow; for waits."""
        return time.monotonic()

    def uptime(self) -> float:
        """Seconds that only ever grow, also while the machine sleeps, in every process."""
        return _uptime()

    def time(self) -> float:
        """Unix time in seconds; for what is written down, and outlives the process."""
        return time.time()

    def moment(self) -> Moment:
        """Now, by both clocks."""
        return Moment(time.time(), _uptime(), _BOOT)

    def draw(self, low: float, high: float) -> float:
        """Draw a number by chance, for a wait that the devices of a fleet are not to share."""
        return _RANDOM.uniform(low, high)

    def sleep(self, stop: threading.Event, seconds: float) -> bool:
        """Wait, and say whether `stop` was set before it was over."""
        return stop.wait(seconds)

    def wait_for(self, bell: Bell, is_met: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so, which is looked at at each ring; False if time ran out."""
        end = time.monotonic() + seconds
        while not is_met():
            left = end - time.monotonic()
            if left <= 0:
                return False
            bell.wait(left)
        return True


def _uptime_clock() -> Callable[[], float]:
    clock_id = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
    return time.monotonic if clock_id is None else partial(time.clock_gettime, clock_id)


_uptime = _uptime_clock()


def corrected(then: Moment, now: Moment) -> float | None:
    """When `then` was, by the clock as it is set now; None if it showed so itself.

    Known only within one boot. A virtual machine that was stopped and went on looks the same
    as a clock that was set.
    """
    if then.uptime is None or now.uptime is None or then.boot != now.boot or now.wall < PLAUSIBLE:
        return None
    wall = then.uptime + (now.wall - now.uptime)
    return wall if abs(wall - then.wall) > JITTER_SECONDS else None


def was_just_booted_since(then: Moment, now: Moment) -> bool:
    """Whether the machine was started since `then`, and a few minutes ago at most.

    Where a moment has no boot, the time of day tells.
    """
    if now.uptime is None or now.uptime > _JUST_BOOTED:
        return False
    if then.boot is None:
        return then.wall < now.wall - now.uptime
    return then.boot != now.boot


def _this_boot() -> int:
    """What tells this boot from others; where the system has nothing, only this process knows."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        text = str(uuid.uuid4())
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


_BOOT = _this_boot()
