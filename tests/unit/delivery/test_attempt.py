from __future__ import annotations

import threading

from segops_durable.delivery.attempt import send_with_retries
from segops_durable.system.clock import Clock


def test_retries_end_at_their_number_and_return_the_last_outcome() -> None:
    outcomes = iter(["bad", "worse", "worst"])
    outcome = send_with_retries(
        lambda: next(outcomes),
        is_worth_retrying=lambda _outcome: True,
        max_retries=0,
        stop=threading.Event(),
        clock=Clock(),
    )
    assert (outcome, list(outcomes)) == ("bad", ["worse", "worst"])


def test_a_stop_ends_the_retries_at_once() -> None:
    stop = threading.Event()

    sent = 0

    def send() -> str:
        nonlocal sent
        sent += 1
        stop.set()
        return "bad"

    outcome = send_with_retries(
        send, is_worth_retrying=lambda _outcome: True, max_retries=1000, stop=stop, clock=Clock()
    )
    assert (outcome, sent) == ("bad", 1)


def test_a_retry_that_succeeds_is_the_outcome() -> None:
    outcomes = iter(["bad", "good"])
    outcome = send_with_retries(
        lambda: next(outcomes),
        is_worth_retrying=lambda outcome: outcome == "bad",
        max_retries=3,
        stop=threading.Event(),
        clock=Clock(),
    )
    assert (outcome, list(outcomes)) == ("good", [])
