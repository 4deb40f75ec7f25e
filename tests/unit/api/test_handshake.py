from __future__ import annotations

from typing import Any

import pytest

from segops_durable.api.handshake import TOKEN_SECONDS, _lifetime

ENDS: list[Any] = [
    None,
    5,
    float("nan"),
    10**5000,
    [],
    "x",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00:00+99:99",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "\ud800",
]
DATES = [
    None,
    "x",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Sat, 31 Jan 2026 12:00:10 +99999999999999999999",
]


@pytest.mark.parametrize("end", range(len(ENDS)))
@pytest.mark.parametrize("date", range(len(DATES)))
def test_whatever_a_server_says_of_the_end_of_a_token_raises_nothing(end: int, date: int) -> None:
    lifetime = _lifetime(ENDS[end], DATES[date])
    assert lifetime is None or lifetime >= 0


def test_without_a_date_that_can_be_read_a_token_lives_as_long_as_is_documented() -> None:
    assert _lifetime("2026-01-01T00:00:00Z", "Sat, 31 Jan 2026 12:00:10 +9999999999") == (
        TOKEN_SECONDS
    )
