"""A thread that waits is not one that hangs, and is told from it."""

from __future__ import annotations

import threading

import pytest

from segops_durable.system.bell import Bell
from segops_durable.system.pulse import (
    CALLBACK_SECONDS,
    LATE_SECONDS,
    WORK_SECONDS,
    Pulse,
    PulsingClock,
)
from support.clock import MovableClock


def test_what_is_silent_for_longer_than_it_said_is_overdue() -> None:
    clock = MovableClock()
    pulse = Pulse(clock)
    with pulse.silent_for(3600.0):
        clock.move(3600.0)
        assert pulse.overdue == 0
        clock.move(2.0)
        assert pulse.overdue == 2.0
    assert pulse.overdue == 0  # it has come back, and has the time of its work
    clock.move(WORK_SECONDS + 1)
    assert pulse.overdue == 1.0


def test_a_wait_by_the_clock_may_be_as_long_as_it_was_to_be() -> None:
    class Looking(MovableClock):
        def sleep(self, stop: threading.Event, seconds: float) -> bool:
            return self._waited(seconds, stop.is_set())

        def wait_for(self, bell: Bell, is_met: object, seconds: float) -> bool:
            del bell, is_met
            return self._waited(seconds, is_met=False)

        def _waited(self, seconds: float, is_met: bool) -> bool:
            self.move(seconds)
            seen.append(pulse.overdue)
            self.move(LATE_SECONDS + 1)
            seen.append(pulse.overdue)
            return is_met

    seen: list[float] = []
    inner = Looking()
    pulse = Pulse(inner)
    clock = PulsingClock(inner, pulse)
    assert not clock.sleep(threading.Event(), 3600.0)
    assert not clock.wait_for(Bell(), lambda: False, 86_400.0)
    assert seen == [0.0, 1.0, 0.0, 1.0]
    assert pulse.overdue == 0
    assert clock.monotonic() == inner.monotonic()
    assert clock.time() == inner.time()


def test_a_callable_of_the_program_has_its_own_time_and_keeps_what_it_raises() -> None:
    clock = MovableClock()
    pulse = Pulse(clock)
    seen = []

    def call(error: Exception) -> None:
        clock.move(CALLBACK_SECONDS + 1)
        seen.append(pulse.overdue)
        raise error

    around = pulse.around(call)
    assert around is not None
    with pytest.raises(ValueError, match="its own"):
        around(ValueError("its own"))
    assert seen == [1.0]
    assert pulse.around(None) is None
