from __future__ import annotations

import threading
from datetime import datetime, timezone

import pytest

from segops_durable.backoff import (
    LONGEST_BLOCKED_PAUSE,
    LONGEST_PAUSE,
    Pause,
    retry_after_seconds,
    send_with_retries,
)
from segops_durable.clock import Clock
from support.clock import MovableClock


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("99999999", 3600.0),
        ("Sat, 31 Jan 2026 12:00:10 GMT", 10.0),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0.0),
        ("Sun, 31 Jan 2027 12:00:00 GMT", 3600.0),
        ("soon", None),
        ("-3", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date_and_clamped(
    header: str | None, seconds: float | None
) -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
    assert retry_after_seconds(header, now, 3600.0) == seconds


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
    clock = MovableClock()
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
