"""What shows that a thread gets on, for whoever has to end a process that does not.

A thread that waits is silent, and so is one that hangs. So whoever lets it wait says for how long
that may be; what is silent for longer hangs.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from segops_durable.system.clock import Clock, Moment

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from segops_durable.system.bell import Bell

WORK_SECONDS = 300.0
"""For what is done between two waits: a damaged file of some gigabytes is saved in that time."""

CALLBACK_SECONDS = 60.0
"""For a callable of the program, which is to return soon."""

LATE_SECONDS = 30.0
"""That a wait may take longer than it was to: a loaded machine, the look-up of a host's name."""

_F = TypeVar("_F", bound="Callable[..., Any]")


class Pulse:
    """Of one thread, and of those that work for it while it waits for them.

    Args:
        clock: The time. Defaults to the machine's.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._until = self._clock.monotonic() + WORK_SECONDS

    @property
    def overdue(self) -> float:
        """Seconds for which it has been silent beyond what it may; 0 while it gets on."""
        return max(0.0, self._clock.monotonic() - self._until)

    @contextmanager
    def silent_for(self, seconds: float) -> Iterator[None]:
        """Allow so many seconds of silence, and a few more, for what is done within."""
        self._until = self._clock.monotonic() + seconds
        try:
            yield
        finally:
            self._until = self._clock.monotonic() + WORK_SECONDS

    def around(self, function: _F | None) -> _F | None:
        """The same callable, which may be silent for as long as those of a program may."""
        if function is None:
            return None

        @wraps(function)
        def call(*args: Any) -> Any:  # noqa: ANN401 - whatever it takes and returns
            with self.silent_for(CALLBACK_SECONDS):
                return function(*args)

        return cast("_F", call)


class PulsingClock(Clock):
    """A clock by which waits are silences that were told of.

    Args:
        clock: The time, and what waits.
        pulse: Of the thread that waits.
    """

    def __init__(self, clock: Clock, pulse: Pulse) -> None:
        self._clock = clock
        self._pulse = pulse

    def monotonic(self) -> float:
        """As the clock has it."""
        return self._clock.monotonic()

    def uptime(self) -> float:
        """As the clock has it."""
        return self._clock.uptime()

    def time(self) -> float:
        """As the clock has it."""
        return self._clock.time()

    def moment(self) -> Moment:
        """As the clock has it."""
        return self._clock.moment()

    def draw(self, low: float, high: float) -> float:
        """As the clock has it."""
        return self._clock.draw(low, high)

    def sleep(self, stop: threading.Event, seconds: float) -> bool:
        """Wait, and be silent meanwhile."""
        with self._pulse.silent_for(seconds + LATE_SECONDS):
            return self._clock.sleep(stop, seconds)

    def wait_for(self, bell: Bell, is_met: Callable[[], bool], seconds: float) -> bool:
        """Wait, and be silent meanwhile."""
        with self._pulse.silent_for(seconds + LATE_SECONDS):
            return self._clock.wait_for(bell, is_met, seconds)
