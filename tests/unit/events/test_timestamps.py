"""Times as they are usually written are read without a look at each part, and as those with it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from segops_durable import InvalidEventError
from segops_durable.events import timestamps
from support.examples import examples

digits = st.text("0123456789", max_size=7) | st.sampled_from(["\u0663", "²", "", "1e5", "-1"])
days = st.dates().map(str) | st.sampled_from(
    [
        "2026-02-30",
        "2026-W05-6",
        "20260131",
        "0000-01-01",
        "\u0662\u0660\u0662\u0666-01-31",
        "2026-1-31",
        "10000-01-01",
    ]
)
clocks = st.times().map(lambda each: each.isoformat("seconds")) | st.sampled_from(
    [
        "12:00",
        "24:00:00",
        "12:60:00",
        "23:59:60",
        "12-00-00",
        "1:00:00",
        "\u0660\u0660:00:00",
        "120000",
    ]
)
zones = st.sampled_from(
    ["Z", "+00:00", "z", "+0000", "-00:00", "+02:00", "-23:59", "", "Z\n", "ZZ"]
)
written = st.builds(
    lambda day, between, clock, point, fraction, zone: (
        f"{day}{between}{clock}{point}{fraction}{zone}"
    ),
    days,
    st.sampled_from(["T", "t", " ", "", "\n"]),
    clocks,
    st.sampled_from(["", ".", ","]),
    st.just("") | digits,
    zones,
)


def outcome(text: str) -> str:
    try:
        return timestamps.timestamp_of(text, None)
    except InvalidEventError as error:
        return str(error)


@settings(max_examples=examples(1500), deadline=None, derandomize=True, database=None)
@given(written | st.text(max_size=30))
@example("2026-01-31T12:00:00Z")
@example("2026-01-31T12:00:00+00:00")
@example("2026-01-31T12:00:00.123456789Z")
@example("2026-01-31T12:00:00.²Z")
@example("2026-01-31T12:00:00.Z")
@example("2026-01-31T24:00:00Z")
@example("2026-01-31T12:00:60Z")
@example("2026-02-29T12:00:00Z")
@example("2026-W05-6T12:00:00Z")
@example("20260131..T12:00:00Z")
@example("2026-01-31 12:00:00Z")
def test_a_time_is_read_as_it_is_part_by_part(text: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(timestamps, "_HOURS", frozenset())  # of which no hour is the usual one
        expected = outcome(text)
    assert outcome(text) == expected


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T12:00:00+00:00", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T12:00:00.120Z", "2026-01-31T12:00:00.120+00:00"),
        ("2026-01-31T12:00:00.123456789+00:00", "2026-01-31T12:00:00.123456789+00:00"),
    ],
)
def test_a_time_in_utc_keeps_every_digit(text: str, sent: str) -> None:
    assert outcome(text) == sent


GOOD = "2026-01-31T12:00:00.5Z"


@settings(max_examples=examples(1500), deadline=None, derandomize=True, database=None)
@given(st.lists(written | st.just(GOOD) | st.text(max_size=30), min_size=1, max_size=3))
@example([f"{GOOD}\n{GOOD}"])
@example([GOOD, "2026-01-31T12:00:0\u0660Z"])
def test_many_times_in_utc_have_the_text_that_each_has_alone(times: list[str]) -> None:
    found = timestamps.utc_texts(times)
    assert found is None or found == [timestamps.timestamp_of(time, None) for time in times]


def test_many_times_in_utc_are_read_at_once() -> None:
    times = [GOOD, "2024-02-29T00:00:00+00:00", "9999-12-31T23:59:59.000000001Z"]
    assert timestamps.utc_texts(times) == [
        "2026-01-31T12:00:00.5+00:00",
        "2024-02-29T00:00:00+00:00",
        "9999-12-31T23:59:59.000000001+00:00",
    ]
