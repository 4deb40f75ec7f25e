from __future__ import annotations

from segops_durable.delivery.backoff import (
    LONGEST_BLOCKED_PAUSE,
    LONGEST_PAUSE,
    Pause,
)
from support.clock import MovableClock


def test_pauses_double_with_jitter_up_to_a_minute_and_a_success_ends_them() -> None:
    pause = Pause(5.0, MovableClock())
    assert pause.remaining == 0
    for longest in (5.0, 10.0, 20.0, 40.0, LONGEST_PAUSE, LONGEST_PAUSE):
        pause.lengthen()
        assert longest / 2 <= pause.remaining <= longest
    assert not pause.is_ordered
    pause.reset()
    assert (pause.remaining, pause.failures) == (0, 0)
    pause.lengthen()
    assert pause.remaining <= 5.0
    for _ in range(20):
        pause.lengthen(LONGEST_BLOCKED_PAUSE)
    assert LONGEST_BLOCKED_PAUSE / 2 <= pause.remaining <= LONGEST_BLOCKED_PAUSE


def test_pauses_of_a_fleet_differ() -> None:
    clock = MovableClock(0.0)  # near 0 two of them do not differ too little to be told apart
    fleet = [Pause(5.0, clock) for _ in range(50)]
    for pause in fleet:
        pause.lengthen()
    assert len({pause.remaining for pause in fleet}) == 50
    for pause in fleet:
        pause.stagger()
    assert len({pause.remaining for pause in fleet}) == 50
    assert all(pause.remaining <= 5.0 for pause in fleet)


def test_a_wait_that_the_server_asked_for_is_kept_whole_whatever_else_happens() -> None:
    clock = MovableClock()
    pause = Pause(5.0, clock)
    pause.order(1.0)
    pause.lengthen()
    pause.reset()
    assert (pause.is_ordered, pause.remaining) == (True, 1.0)
    clock.move(1.0)
    assert (pause.is_ordered, pause.remaining) == (False, 0.0)


def test_a_wait_that_the_server_asked_for_is_not_shortened_by_a_later_one() -> None:
    clock = MovableClock()
    pause = Pause(5.0, clock)
    pause.order(600.0)
    clock.move(10.0)
    pause.order(30.0)
    assert pause.remaining == 590.0
    pause.order(900.0)
    assert pause.remaining == 900.0
