"""Turns that are claimed before those who wait."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from segops_durable.api import Answer, Pacer, Rate
from segops_durable.api.rate import FIRST_RATE
from support.clock import MovableClock

if TYPE_CHECKING:
    from collections.abc import Callable


class HookedClock(MovableClock):
    """Calls something whenever somebody waits."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.hook: Callable[[], object] = lambda: None

    def sleep(self, stop: threading.Event, seconds: float) -> bool:
        self.hook()
        return super().sleep(stop, seconds)


@pytest.fixture
def clock() -> HookedClock:
    return HookedClock()


def pacer_of(clock: HookedClock, per_minute: float | None) -> Pacer:
    return Pacer(Rate(per_minute), threading.Event(), clock)


def too_many(patience: str | None) -> Answer:
    return Answer(429, {} if patience is None else {"Retry-After": patience}, b"{}")


def test_a_turn_that_is_claimed_comes_before_that_of_one_who_waits_and_every_second_one_is_theirs(
    clock: HookedClock,
) -> None:
    pacer = pacer_of(clock, 30)
    claimed: list[float | None] = []
    clock.hook = lambda: claimed.append(pacer.claim(clock.monotonic() + 3))
    assert [pacer.wait_for_turn() for _ in range(3)] == [0.0, 4.0, 8.0]
    assert claimed == [2.0, None, 6.0, None]


def test_while_nobody_waits_each_turn_can_be_claimed(clock: HookedClock) -> None:
    pacer = pacer_of(clock, 30)
    assert [pacer.claim(4.0) for _ in range(3)] == [0.0, 2.0, 4.0]


def test_a_turn_that_would_come_too_late_is_left_to_others(clock: HookedClock) -> None:
    pacer = pacer_of(clock, 1)
    assert pacer.claim(3.0) == 0.0
    assert pacer.claim(59.9) is None
    assert pacer.wait_for_turn() == 60.0


def test_without_a_limit_a_turn_is_claimed_at_once(clock: HookedClock) -> None:
    pacer = pacer_of(clock, None)
    assert [pacer.claim(0.0) for _ in range(3)] == [0.0] * 3


def test_a_429_holds_all_for_its_retry_after_where_nobody_else_would(clock: HookedClock) -> None:
    pacer = pacer_of(clock, None)
    made_at = pacer.claim(0.0)
    assert made_at is not None
    pacer.heed(too_many("60"), made_at, holds_all=True)
    assert pacer.per_minute == FIRST_RATE
    assert pacer.claim(clock.monotonic() + 61) is None
    assert pacer.wait_for_turn() == 60.0
    assert pacer.claim(clock.monotonic() + 61) is not None


def test_a_429_without_a_retry_after_teaches_the_rate_and_holds_nobody(clock: HookedClock) -> None:
    pacer = pacer_of(clock, None)
    made_at = pacer.claim(0.0)
    assert made_at is not None
    pacer.heed(too_many(None), made_at, holds_all=True)
    assert pacer.per_minute == FIRST_RATE
    assert pacer.wait_for_turn() == 0.0


def test_what_was_claimed_before_the_place_was_taken_counts_after_it(clock: HookedClock) -> None:
    pacer = pacer_of(clock, 1)
    assert pacer.claim(0.0) == 0.0
    pacer.go_on_from({})
    pacer.go_on_from({"wait": 0.0})
    assert pacer.wait_for_turn() == 60.0
