"""The hours of --only-between, by the local time."""

from __future__ import annotations

from datetime import datetime

import click
import pytest

from segops_durable.cli.hours import hours_of, may_send_at


def asked(hours: list[str], *times: str) -> list[bool | float]:
    read = [hours_of(each) for each in hours]
    moments = [datetime.fromisoformat(f"2026-03-29T{each}") for each in times]
    may_send = may_send_at(read, lambda: moments.pop(0))
    assert may_send is not None
    return [may_send() for _ in times]


@pytest.mark.parametrize(
    ("hours", "within", "outside"),
    [
        (["02:00-05:00"], ["02:00", "03:30", "04:59:59"], ["01:59", "05:00", "12:00"]),
        (["22:00-05:00"], ["22:00", "23:59", "00:00", "04:59"], ["05:00", "21:59"]),
        (["0:00-24:00"], ["00:00", "12:00", "23:59:59"], []),
        (["18:00-24:00"], ["18:00", "23:59:59"], ["00:00", "17:59"]),
        (["2:00-3:00", "12:00-13:00"], ["02:30", "12:30"], ["03:00", "11:59", "13:00"]),
    ],
)
def test_it_is_sent_within_them_and_not_outside(
    hours: list[str], within: list[str], outside: list[str]
) -> None:
    assert asked(hours, *within) == [True] * len(within)
    assert all(said is not True and 0 < said <= 60 for said in asked(hours, *outside))


def test_it_is_asked_again_when_they_begin_and_within_a_minute_as_clocks_are_set() -> None:
    assert asked(["02:00-05:00"], "01:59:30", "01:00:00", "05:00:00") == [30.0, 60.0, 60.0]
    assert asked(["02:00-05:00", "01:30-01:40"], "01:29:50") == [10.0]


def test_without_hours_nothing_is_asked() -> None:
    assert may_send_at([]) is None


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "2-5",
        "02:00",
        "02:00-25:00",
        "24:00-05:00",
        "02:60-05:00",
        "02:00-02:00",
        "a",
        "-1:00-2:00",
    ],
)
def test_what_are_no_hours_is_named(wrong: str) -> None:
    with pytest.raises(click.BadParameter, match=repr(wrong)):
        hours_of(wrong)
