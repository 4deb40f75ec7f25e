"""The rate that a device learns, by what it was answered."""

from __future__ import annotations

import random

import pytest

from segops_durable.api import Rate
from segops_durable.api.noted_rate import LEAST
from segops_durable.api.rate import FIRST_RATE, LEAST_FOUND, LONGEST_WAIT, SHARE_USED

MINUTE = 60.0


def test_one_that_was_never_refused_has_no_limit() -> None:
    rate = Rate(None)
    for now in range(1000):
        assert rate.turn(now) == now
        rate.take(now, has_waited=False)
        rate.let_through(now)
    assert (rate.per_minute, rate.kept(1000.0)) == (None, None)


def test_a_refusal_halves_a_rate_which_is_soon_back_and_then_grows_slowly() -> None:
    rate = Rate(60.0)
    rate.refuse(0.0, 0.0, 10.0)
    assert rate.per_minute == 30.0
    reached = [rate_after(rate, minutes) for minutes in (1, 4, 10)]
    assert 44.0 <= reached[0] <= 46.0  # of the 29 that are missing to 59
    assert 57.0 <= reached[1] <= 60.0
    assert reached[2] == 60.0  # what is allowed, and no more


def rate_after(rate: Rate, minutes: float) -> float:
    """What a rate is after so many minutes in which each turn was waited for."""
    now = rate.turn(0.0)
    end = now + minutes * MINUTE
    while now < end:
        rate.take(now, has_waited=True)
        now = rate.turn(now)
    assert rate.per_minute is not None
    return rate.per_minute


def test_a_rate_of_one_or_two_calls_stays_halved_and_leaves_its_calls_to_others() -> None:
    rate = Rate(2.0)
    rate.refuse(0.0, 0.0, 10.0)
    assert rate_after(rate, 10) < 1.1


def test_of_several_requests_that_are_refused_together_one_counts() -> None:
    rate = Rate(60.0)
    for _ in range(5):
        rate.refuse(10.0, 9.0, 10.0)
    assert rate.per_minute == 30.0
    rate.let_through(20.0)
    rate.refuse(30.0, 29.0, 10.0)
    assert rate.per_minute == 15.0


def test_where_none_was_let_through_since_the_last_refusal_a_quarter_is_left() -> None:
    rate = Rate(8.0)
    rate.refuse(0.0, 0.0, 10.0)
    assert rate.per_minute == 4.0
    rate.refuse(30.0, 30.0, 10.0)
    assert rate.per_minute == 1.0


@pytest.mark.parametrize("per_minute", [0.5, 2.0])
def test_whoever_is_alone_by_now_has_the_plan_in_hours_and_not_in_a_day(per_minute: float) -> None:
    rate = Rate(None)
    rate.go_on_from({"per_minute": per_minute, "wait": 0.0}, 0.0)
    assert rate_after(rate, 30) < per_minute * 1.2
    now = rate.turn(0.0)
    while (rate.per_minute or 0.0) < 60.0:
        rate.take(now, has_waited=True)
        now = rate.turn(now)
    assert now < 5 * 60 * MINUTE


def test_a_refusal_ends_the_row_that_a_rate_grows_by_faster_and_faster() -> None:
    rates = [Rate(None), Rate(None)]
    for rate in rates:
        rate.go_on_from({"per_minute": 10.0, "wait": 0.0, "row": 200}, 0.0)
    rates[0].refuse(0.0, 0.0, 10.0)
    rates[0].go_on_from({**(rates[0].kept(0.0) or {}), "per_minute": 10.0, "plateau": 0.0}, 0.0)
    grown = [rate_after(rate, 5) / 10 - 1 for rate in rates]
    assert grown[1] > 5 * grown[0]


def test_no_refusal_pushes_a_rate_below_a_call_an_hour() -> None:
    rate = Rate(60.0)
    for day in range(1, 100):
        rate.refuse(day * 86_400.0, day * 86_400.0, 10.0)
    assert rate.per_minute == LEAST


def test_no_refusal_has_a_device_wait_longer_than_a_part_of_the_time_since_the_first() -> None:
    rate = Rate(60.0, draw=random.Random(1).uniform)
    for minute in range(100):
        rate.refuse(minute * MINUTE, minute * MINUTE, 10.0)
    wait = MINUTE / (rate.per_minute or 0)
    assert wait == pytest.approx(LONGEST_WAIT * 99 * MINUTE)
    assert 0.7 * wait <= rate.turn(99 * MINUTE) - 99 * MINUTE <= 1.3 * wait
    after = Rate(60.0)
    after.go_on_from(rate.kept(99 * MINUTE) or {}, 0.0)
    after.refuse(MINUTE, MINUTE, 10.0)
    assert MINUTE / (after.per_minute or 0) == pytest.approx(LONGEST_WAIT * 100 * MINUTE)


def test_a_search_asks_for_half_of_what_was_let_through_and_then_for_twice_as_much() -> None:
    rate = Rate(None)
    for second in range(40):
        rate.let_through(second)
    rate.refuse(40.0, 40.0, 20.0)
    assert rate.per_minute == 20.0
    now = rate.turn(60.0)
    for _ in range(20):
        now = rate.turn(now)
        rate.take(now, has_waited=True)
        rate.let_through(now)
    assert rate.turn(121.0) >= 121.0
    assert rate.per_minute == 40.0


def test_what_was_let_through_in_a_minute_in_which_some_was_refused_is_its_share() -> None:
    rate = Rate(None)
    rate.refuse(0.0, 0.0, 60.0)
    assert rate.per_minute == FIRST_RATE
    rate.turn(70.0)
    for now in (71.0, 75.0, 80.0):
        rate.let_through(now)
    rate.refuse(85.0, 85.0, 35.0)
    assert rate.per_minute == FIRST_RATE
    rate.turn(121.0)
    assert rate.per_minute == SHARE_USED * 3


def test_a_bucket_that_refuses_what_was_doubled_ends_the_search_at_once() -> None:
    """Or one that searches by itself would have a minute in which it takes what others found."""
    rate = Rate(None)
    rate.refuse(0.0, 0.0, 1.0)
    rate.turn(1.0)
    for second in range(5, 62, 12):
        rate.let_through(second)
    rate.turn(61.0)
    assert rate.per_minute == 2 * FIRST_RATE
    rate.refuse(62.0, 62.0, 1.0)
    rate.turn(63.0)
    assert rate.per_minute == SHARE_USED * 5


def test_whom_a_window_has_refused_do_not_come_together_at_its_end() -> None:
    turns = []
    for seed in range(100):
        rate = Rate(None, draw=random.Random(seed).uniform)
        rate.refuse(50.0, 50.0, 10.0)
        turns.append(rate.turn(60.0))
    spacing = MINUTE / FIRST_RATE
    assert 60.0 <= min(turns) < 60.0 + spacing / 4
    assert 60.0 + spacing * 3 / 4 < max(turns) <= 60.0 + spacing


def test_one_for_which_there_was_no_room_asks_again_every_two_minutes() -> None:
    rate = Rate(None)
    rate.refuse(0.0, 0.0, 60.0)
    rate.turn(70.0)
    rate.refuse(71.0, 71.0, 49.0)
    rate.turn(121.0)
    assert rate.per_minute == LEAST_FOUND


def test_the_first_turn_is_drawn_where_others_are_started_at_the_same_time() -> None:
    assert Rate(1.5).turn(100.0) == 100.0
    chance = random.Random(1)
    turns = [Rate(1.5, is_one_of_many=True, draw=chance.uniform).turn(100.0) for _ in range(100)]
    assert 100.0 <= min(turns) <= 110.0
    assert 130.0 <= max(turns) <= 140.0


def test_the_next_process_goes_on_at_the_rate_and_with_the_wait_of_the_last() -> None:
    before = Rate(60.0)
    before.refuse(0.0, 0.0, 10.0)
    before.take(before.turn(10.0), has_waited=False)
    kept = before.kept(10.5)
    assert kept is not None
    after = Rate(60.0)
    after.go_on_from({**kept, "wait": kept["wait"] - 0.5}, 1000.0)  # half a second was it off
    assert after.per_minute == before.per_minute
    assert after.turn(1000.0) == 1001.0
    assert rate_after(after, 4) == pytest.approx(rate_after(before, 4), rel=0.02)


@pytest.mark.parametrize("kept", [{"wait": 0.0}, {"wait": 0.0, "per_minute": 1.5}])
def test_after_a_power_cut_the_turns_of_a_fleet_are_drawn_anew(kept: dict[str, float]) -> None:
    share = None if "per_minute" in kept else 1.5
    turns = []
    for seed in range(100):
        draw = random.Random(seed).uniform
        rate = Rate(share, is_one_of_many=share is not None, draw=draw)
        rate.go_on_from({**kept, "is_after_power_cut": True}, 100.0)
        turns.append(rate.turn(100.0))
    assert 100.0 <= min(turns) <= 110.0
    assert 130.0 <= max(turns) <= 140.0


def test_whoever_shares_with_nobody_goes_on_at_once_after_a_power_cut() -> None:
    rate = Rate(1.5, draw=random.Random(1).uniform)
    rate.go_on_from({"wait": 0.0, "is_after_power_cut": True}, 100.0)
    assert rate.turn(100.0) == 100.0


def test_what_a_process_has_found_when_it_ends_is_not_searched_for_again() -> None:
    before = Rate(None)
    before.refuse(0.0, 0.0, 60.0)
    before.turn(70.0)
    before.let_through(71.0)
    before.let_through(72.0)
    going_on = before.kept(73.0)
    before.refuse(74.0, 74.0, 46.0)
    found = before.kept(75.0)
    assert going_on is not None
    assert found is not None
    after = Rate(None)
    after.go_on_from(found, 0.0)
    assert after.per_minute == SHARE_USED * 2
    after = Rate(None)
    after.go_on_from(going_on, 0.0)
    assert after.per_minute == FIRST_RATE


def test_a_share_that_is_smaller_than_what_was_learned_holds() -> None:
    rate = Rate(10.0)
    rate.go_on_from({"wait": 1.0, "per_minute": 30.0, "plateau": 59.0, "search": None}, 0.0)
    assert rate.per_minute == 10.0


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {"per_minute": "30"},
        {"per_minute": 0.0, "wait": 1e9},
        {"per_minute": -1.0},
        {"per_minute": float("nan"), "wait": None},
        {"per_minute": True},
        {"per_minute": 1e300, "search": 7, "row": -1},
    ],
)
def test_what_cannot_be_meant_is_passed_over(kept: dict[str, object]) -> None:
    rate = Rate(None)
    rate.go_on_from(kept, 0.0)
    assert (rate.per_minute, rate.turn(0.0)) == (None, 0.0)
    rate = Rate(60.0)
    rate.go_on_from(kept, 0.0)
    assert rate.per_minute == 60.0
    assert rate.turn(0.0) <= 1.1


@pytest.mark.parametrize("search", [{}, {"is_over": True}, {"is_over": True, "found": "x"}])
def test_a_search_that_cannot_be_meant_ends_or_is_begun_anew(search: dict[str, object]) -> None:
    rate = Rate(None)
    rate.go_on_from({"per_minute": 5.0, "search": search, "wait": 0.0}, 0.0)
    assert rate.per_minute in {5.0, LEAST_FOUND}
