from __future__ import annotations

import pytest

from segops_durable.delivery.backoff import (
    LONGEST_BLOCKED_PAUSE,
    LONGEST_PAUSE,
    Pause,
    drawn_later,
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
    for pause in fleet:
        pause.stagger(is_after_power_cut=True)
    assert 5.0 < max(pause.remaining for pause in fleet) <= LONGEST_PAUSE


def test_a_wait_that_the_server_asked_for_is_kept_whole_whatever_else_happens() -> None:
    clock = MovableClock()
    pause = Pause(5.0, clock)
    pause.order(1.0, 0.0)
    pause.lengthen()
    pause.reset()
    assert (pause.is_ordered, pause.remaining) == (True, 1.0)
    clock.move(1.0)
    assert (pause.is_ordered, pause.remaining) == (False, 0.0)


def test_a_wait_that_the_server_asked_for_is_not_shortened_by_a_later_one() -> None:
    clock = MovableClock()
    pause = Pause(5.0, clock)
    assert pause.order(600.0, 20.0) == (600.0, 20.0)
    clock.move(10.0)
    assert pause.order(30.0) is None
    assert pause.remaining == 610.0
    assert pause.order(900.0, 5.0) == (900.0, 5.0)
    assert pause.remaining == 905.0


def test_a_thousand_devices_that_are_told_the_same_do_not_come_back_in_the_same_second() -> None:
    clock = MovableClock(0.0)
    waiting = [Pause(5.0, clock) for _ in range(1000)]
    for pause in waiting:
        pause.order(60.0)
    in_each_second = []
    for _ in range(72):
        clock.move(1.0)
        left = [pause for pause in waiting if pause.is_ordered]
        in_each_second.append(len(waiting) - len(left))
        waiting = left
    assert waiting == []
    assert in_each_second[:60] == [0] * 60  # none is early
    assert max(in_each_second) <= 2 * 1000 / 12


@pytest.mark.parametrize(
    ("order", "longest"), [(0.0, 0.0), (1.0, 0.2), (60.0, 12.0), (150.0, 30.0), (3600.0, 30.0)]
)
def test_a_device_is_later_than_it_was_told_by_a_fifth_or_half_a_minute_at_most(
    order: float, longest: float
) -> None:
    drawn = [drawn_later(order, MovableClock()) for _ in range(1000)]
    assert min(drawn) >= 0.0
    assert longest * 0.9 <= max(drawn) <= longest
