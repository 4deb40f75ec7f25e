"""Times of files: none is guessed, and none is moved."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segops_durable import InvalidEventError
from segops_durable.intake.mapping.times import TimeReader, zone_of

BERLIN = {"zone": ZoneInfo("Europe/Berlin")}


def read(value: object, tally: Counter[str] | None = None, **options: Any) -> str:
    return TimeReader(**options).read(value, Counter() if tally is None else tally)


@pytest.mark.parametrize(
    ("value", "options", "time"),
    [
        ("2026-01-31T12:00:00", BERLIN, "2026-01-31T11:00:00+00:00"),
        ("2026-07-31 12:00", BERLIN, "2026-07-31T10:00:00+00:00"),
        ("2026-01-31", BERLIN, "2026-01-30T23:00:00+00:00"),
        (date(2026, 1, 31), BERLIN, "2026-01-30T23:00:00+00:00"),
        ("2026-01-31T12:00:00,123456789", BERLIN, "2026-01-31T11:00:00.123456789+00:00"),
        ("2026-01-31T12:00:00Z", BERLIN, "2026-01-31T12:00:00Z"),
        ("2026-01-31 12:00:00+00", BERLIN, "2026-01-31 12:00:00+00:00"),
        ("2026-01-31 12:00:00.5-08", {}, "2026-01-31 12:00:00.5-08:00"),
        ("2026-01-31 12:00:00 UTC", BERLIN, "2026-01-31 12:00:00+00:00"),
        ("2026-01-31T12:00-0800", BERLIN, "2026-01-31T12:00-0800"),
        (datetime(2026, 1, 31, 12), BERLIN, "2026-01-31T11:00:00+00:00"),  # noqa: DTZ001 - as it is in a file
        ("31.01.2026 12:00", {**BERLIN, "form": "%d.%m.%Y %H:%M"}, "2026-01-31T11:00:00+00:00"),
        (20260131, {**BERLIN, "form": "%Y%m%d"}, "2026-01-30T23:00:00+00:00"),
        ("31/01/26 12 +0200", {"form": "%d/%m/%y %H %z"}, "2026-01-31T12:00:00+02:00"),
        ("1767225600", {}, "2026-01-01T00:00:00+00:00"),
        (1767225600.25, {}, "2026-01-01T00:00:00.25+00:00"),
        ("1767225600123", {}, "2026-01-01T00:00:00.123+00:00"),
        (1767225600123456, {}, "2026-01-01T00:00:00.123456+00:00"),
        (1767225600123456789, {}, "2026-01-01T00:00:00.123456789+00:00"),
        (Decimal("1767225600.000000001"), {}, "2026-01-01T00:00:00.000000001+00:00"),
        (946684800, {}, "2000-01-01T00:00:00+00:00"),
        (0, {"unit": "ms"}, "1970-01-01T00:00:00+00:00"),
        ("-1", {"unit": "ms"}, "1969-12-31T23:59:59.999+00:00"),
        (1767225600, {"unit": "ns"}, "1970-01-01T00:00:01.7672256+00:00"),
    ],
)
def test_a_time_is_read_as_it_is_meant(value: object, options: Any, time: str) -> None:
    assert read(value, **options) == time


@pytest.mark.parametrize(
    ("value", "options", "problem"),
    [
        ("2026-01-31T12:00:00", {}, "has no time zone.*--time-zone"),
        ("2026-01-31", {}, "has no time zone"),
        ("2026-03-29T02:30:00", BERLIN, "was never shown by the clocks of Europe/Berlin"),
        ("2026-10-25T02:30:00", BERLIN, "was shown twice"),
        ("2018-11-04", {"zone": ZoneInfo("America/Sao_Paulo")}, "was never shown"),
        ("2026-02-30", BERLIN, "day is out of range|must be in range"),
        ("0001-01-01T00:00:00", BERLIN, "occurred_at"),
        ("yesterday", BERLIN, "must be ISO 8601"),
        ("31.01.2026", BERLIN, "must be ISO 8601"),
        ("2026-01-31", {"form": "%d.%m.%Y", **BERLIN}, "does not match format"),
        ("31.01.2026", {"form": "%d.%m.%Y"}, "has no time zone"),
        *((number, {}, "may be many a time") for number in (0, 5, 20260131, "20260131")),
        (202601311200, {}, "may be many a time"),
        (2026013112, {}, "may be many a time"),
        (20260131120000, {}, "may be many a time"),
        (10**30, {"unit": "s"}, "occurred_at"),
        (-(10**12), {"unit": "s"}, "occurred_at"),
        (float("nan"), {}, "occurred_at"),
        (True, {}, "is no time"),
        (b"2026", {}, "is no time"),
        ("9" * 100_000, {"unit": "s"}, "must be ISO 8601"),
        ("2026-01-31T12:00:00 CET", BERLIN, "must be ISO 8601"),
    ],
)
def test_a_time_that_may_be_another_is_refused(value: object, options: Any, problem: str) -> None:
    with pytest.raises(InvalidEventError, match=problem):
        read(value, **options)


def test_the_unit_of_a_number_is_said_where_its_size_told_it() -> None:
    tally: Counter[str] = Counter()
    read("1767225600123", tally)
    read("1767225600", tally, unit="s")
    assert tally == {"times are numbers, taken as milliseconds since 1970": 1}


@given(
    st.datetimes(datetime(1973, 4, 1), datetime(2286, 1, 1)),  # noqa: DTZ001 - of UTC, below
    st.sampled_from([("s", 0), ("ms", 3), ("us", 6), ("ns", 9)]),
)
def test_a_unit_is_told_by_the_size_or_it_is_asked_for(
    moment: datetime, unit: tuple[str, int]
) -> None:
    aware = moment.replace(tzinfo=timezone.utc, microsecond=0)
    number = int(aware.timestamp()) * 10 ** unit[1]
    try:
        assert datetime.fromisoformat(read(number)) == aware
    except InvalidEventError as error:
        assert "many a time" in str(error)  # noqa: PT017 - one or the other
    assert datetime.fromisoformat(read(number, unit=unit[0])) == aware


@pytest.mark.parametrize(("name", "hours"), [("+02:00", 2), ("-0530", -5.5), ("UTC", 0), ("Z", 0)])
def test_a_zone_may_be_an_offset(name: str, hours: float) -> None:
    zone = zone_of(name)
    assert zone is not None
    assert zone.utcoffset(None) == timedelta(hours=hours)
