"""Requests for rounds, as the rounds answer them."""

from __future__ import annotations

from segops_durable.delivery.rounds import RoundRequests


def test_a_round_in_which_another_process_was_the_sender_fulfils_no_request() -> None:
    requests = RoundRequests()
    number = requests.add()
    assert requests.look()
    requests.answer(is_standby=True)
    assert not requests.look()  # it is not run again by itself
    assert (requests.is_answered(number), requests.is_fulfilled(number)) == (True, False)
    later = requests.add()
    assert requests.look()
    requests.answer()
    assert [requests.is_fulfilled(each) for each in (number, later)] == [True, True]
