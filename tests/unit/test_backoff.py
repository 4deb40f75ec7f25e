from __future__ import annotations

import threading
from datetime import datetime, timezone

import pytest

from segops_durable.backoff import LONGEST_PAUSE, Pause, retry_after_seconds, send_with_retries


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
    assert retry_after_seconds(header, now) == seconds


def test_pauses_double_with_jitter_up_to_a_minute_and_a_success_ends_them() -> None:
    pause = Pause(5.0)
    assert pause.remaining == 0
    for longest in (5.0, 10.0, 20.0, 40.0, LONGEST_PAUSE, LONGEST_PAUSE):
        assert longest / 2 <= pause.lengthen() <= longest
    assert pause.remaining > 0
    assert not pause.is_ordered
    pause.reset()
    assert pause.remaining == 0
    assert pause.lengthen() <= 5.0


def test_a_wait_that_the_server_asked_for_is_kept_whole() -> None:
    pause = Pause(5.0)
    assert pause.lengthen(at_least=900.0) == 900.0
    assert pause.is_ordered


def test_retries_end_at_their_number_and_return_the_last_outcome() -> None:
    outcomes = iter(["bad", "worse", "worst"])
    outcome, attempts = send_with_retries(
        lambda: next(outcomes),
        is_worth_retrying=lambda _outcome: True,
        max_retries=0,
        stop=threading.Event(),
    )
    assert (outcome, attempts) == ("bad", 1)


def test_a_stop_ends_the_retries_at_once() -> None:
    stop = threading.Event()

    def send() -> str:
        stop.set()
        return "bad"

    outcome, attempts = send_with_retries(
        send, is_worth_retrying=lambda _outcome: True, max_retries=1000, stop=stop
    )
    assert (outcome, attempts) == ("bad", 1)


def test_a_retry_that_succeeds_is_the_outcome() -> None:
    outcomes = iter(["bad", "good"])
    outcome, attempts = send_with_retries(
        lambda: next(outcomes),
        is_worth_retrying=lambda outcome: outcome == "bad",
        max_retries=3,
        stop=threading.Event(),
    )
    assert (outcome, attempts) == ("good", 2)
