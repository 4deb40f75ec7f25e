from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segops_durable.api.retry_after import http_date, retry_after_seconds


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
        ("30.5", 30.5),
        ("30.", 30.0),
        ("9" * 5000, 3600.0),
        ("5, 30", 30.0),
        ("٣٠", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("Sat, 31 Jan 2026 12:00:10 +99999999999999999999", None),
        ("Sat, 31 Jan 2026 12:00:10 -9999", None),
        ("Sat, 31 Jan 99999999999999999999 12:00:10 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -1400", 3600.0),
        ("Mon, 01 Jan 0001 00:00:00 +1400", 0.0),
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


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]+ [A-Z][a-z]{2} [0-9]+ [0-9:]+ [+-][0-9]+"))
def test_a_date_that_is_none_raises_nothing(text: str) -> None:
    moment = http_date(text)
    assert moment is None or moment.tzinfo is not None
    seconds = retry_after_seconds(text, datetime.now(timezone.utc), 3600.0)
    assert seconds is None or 0 <= seconds <= 3600
