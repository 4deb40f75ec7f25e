"""What a rate grows by while nobody needs it."""

from __future__ import annotations

import pytest

from segops_durable.api import Rate
from segops_durable.api.rate import SHARE_USED

MINUTE = 60.0


def test_a_rate_grows_by_a_call_a_minute_in_each_minute_in_which_no_turn_is_taken() -> None:
    rate = Rate(60.0)
    rate.go_on_from({"wait": 0.0, "per_minute": 3.0, "spare": 0.0}, 0.0)
    assert rate.turn(10 * MINUTE) == 10 * MINUTE
    assert rate.per_minute == 13.0
    rate.take(10 * MINUTE, has_waited=False)
    rate.let_through(10 * MINUTE)
    rate.turn(16 * MINUTE + MINUTE / 13)
    assert rate.per_minute == pytest.approx(19.0)
    rate.turn(1000 * MINUTE)
    assert rate.per_minute == 60.0  # what is allowed, and no more


def test_it_grows_as_much_over_a_restart() -> None:
    rate = Rate(None)
    rate.go_on_from({"wait": 0.0, "per_minute": 3.0, "spare": 2.0, "unused": 10 * MINUTE}, 0.0)
    assert rate.per_minute == 15.0
    again = Rate(None)
    again.go_on_from({**(rate.kept(5 * MINUTE) or {}), "unused": MINUTE}, 0.0)
    assert again.per_minute == 16.0
    again.turn(2 * MINUTE)
    assert again.per_minute == 18.0


@pytest.mark.parametrize("spare", [None, "5", -1.0, float("nan"), 1e300, True])
def test_a_note_that_does_not_say_so_has_it_grow_by_nothing(spare: object) -> None:
    rate = Rate(None)
    rate.go_on_from({"wait": 0.0, "per_minute": 3.0, "spare": spare, "unused": 600.0}, 0.0)
    assert rate.per_minute == 3.0


def test_after_a_power_cut_it_is_what_was_learned() -> None:
    """Or a fleet that was without power for hours would come as one."""
    rate = Rate(None)
    kept = {"wait": 0.0, "per_minute": 3.0, "spare": 9.0, "unused": 600.0}
    rate.go_on_from({**kept, "is_after_power_cut": True}, 0.0)
    assert rate.per_minute == 3.0


def test_it_does_not_grow_while_somebody_waits_for_a_turn_or_for_segops() -> None:
    waits = Rate(None)
    waits.go_on_from({"wait": 0.0, "per_minute": 3.0, "spare": 0.0}, 0.0)
    waits.take(0.0, has_waited=False)
    waits.let_through(1.0)
    assert waits.turn(5.0) == 20.0
    waits.turn(80.0)  # the machine slept
    unanswered = Rate(None)
    unanswered.go_on_from({"wait": 0.0, "per_minute": 3.0, "spare": 0.0}, 0.0)
    unanswered.take(0.0, has_waited=False)
    unanswered.turn(600.0)
    failing = Rate(None)
    failing.go_on_from({"wait": 0.0, "per_minute": 3.0, "spare": 0.0}, 0.0)
    failing.take(0.0, has_waited=False)
    failing.let_through(1.0, is_served=False)
    failing.turn(600.0)
    refused = Rate(6.0)
    refused.refuse(0.0, 0.0, 300.0)
    refused.turn(300.0)
    rates = [each.per_minute for each in (waits, unanswered, failing, refused)]
    assert rates == [3.0] * 4
    assert (refused.kept(300.0) or {})["spare"] is None


def test_a_refusal_after_such_a_time_leaves_what_was_learned_before_or_was_let_through_now() -> (
    None
):
    rate = Rate(None)
    rate.go_on_from({"wait": 0.0, "per_minute": 3.0, "spare": 0.0}, 0.0)
    rate.turn(60 * MINUTE)
    rate.refuse(60 * MINUTE, 60 * MINUTE, 10.0)
    assert rate.per_minute == 3.0
    rate.turn(61 * MINUTE)
    rate.take(61 * MINUTE, has_waited=True)
    rate.let_through(61 * MINUTE)
    rate.turn(120 * MINUTE)
    for second in range(25):
        rate.let_through(120 * MINUTE + second)
    rate.refuse(121 * MINUTE, 121 * MINUTE, 10.0)
    assert rate.per_minute == SHARE_USED * 25


def test_a_little_that_was_left_over_saves_no_rate_from_being_halved() -> None:
    rate = Rate(None)
    rate.go_on_from({"wait": 0.0, "per_minute": 30.0, "spare": 0.0}, 0.0)
    rate.turn(10 * MINUTE)
    rate.refuse(10 * MINUTE, 10 * MINUTE, 10.0)
    assert rate.per_minute == 20.0
