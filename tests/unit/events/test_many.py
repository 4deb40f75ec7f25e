"""Many events at once have the bytes that each has alone, or are left to be looked at alone."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from segops_durable import Event, InvalidEventError
from segops_durable.events import (
    Many,
    encode_event,
    encode_many,
    encode_received,
    encode_received_many,
    encoding,
    fast_json,
    many,
)
from support.examples import examples

if TYPE_CHECKING:
    from collections.abc import Sequence

orjson = pytest.importorskip("orjson")

NOW = 1.8e9
LARGEST = 300


class Text(str):
    """A text of another class."""

    __slots__ = ()


class OwnEvent(Event):
    """An event of the application's own kind."""


class Entries(dict[str, Any]):
    """An object of another class, which has other items than those that are in it."""

    def items(self) -> Any:
        return {"b": 1}.items()


PLAIN = {"user_id": "ann", "event_type": "seen", "payload": {"a": 1}}
TIMES: list[Any] = [
    "2026-01-31T12:00:00Z",
    "2026-01-31T12:00:00.250+00:00",
    "2026-01-31T14:00:00+02:00",
    "2026-01-31 12:00:00z",
    "2026-02-30T12:00:00Z",
    "2026-01-31T12:00:00Z\n2026-01-31T12:00:00Z",
    "2026-01-31T12:00:00Z\n",
    "2026-01-31T12:00:61Z",
    "٢026-01-31T12:00:00Z",
    "",
    Text("2026-01-31T12:00:00Z"),
    datetime(2026, 1, 31, 12, tzinfo=timezone.utc),
    datetime(2026, 1, 31, 14, tzinfo=timezone(timedelta(hours=2))),
    datetime(2026, 1, 31, 12),  # noqa: DTZ001 - that is the point
    7,
    [],
]
odd_values: list[Any] = [
    [1.5, {"b": (None, True)}],
    {"b": {"c": 1e300}},
    1e-5,
    -0.0,
    math.nan,
    [math.inf],
    2**64,
    2**53,
    Text("a"),
    UUID(int=7),
    b"bytes",
    "\ud800",
    "x" * 400,
    {1: 2},
    {Text("a"): 1},
    orjson.Fragment(b'{"a":'),
]
values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(odd_values)
)
odd_fields = st.one_of(
    st.tuples(st.just("user_id"), st.sampled_from(["", "\udfff", Text("ann"), 7, None, []])),
    st.tuples(st.just("event_type"), st.sampled_from(["Page Viewed", "", Text("seen"), 7, None])),
    st.tuples(st.just("occurred_at"), st.sampled_from(TIMES)),
    st.tuples(st.just("anonymous_id"), st.sampled_from(["visitor", "other", "", 7])),
    st.tuples(
        st.just("payload"),
        st.dictionaries(st.text(max_size=3), values, max_size=3)
        | st.sampled_from([Entries(a=1), None, [], 7, "text", {1: 2}]),
    ),
    st.tuples(st.just("more"), st.just(1)),
)
most = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["ann", "bob", "é\u2028"]),
        "event_type": st.sampled_from(["seen", "sold"]),
        "payload": st.dictionaries(
            st.text(max_size=3),
            st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
            max_size=3,
        ),
    }
)
shared = st.fixed_dictionaries(
    {},
    optional={
        "occurred_at": st.sampled_from([None, *TIMES[:3]]),
        "anonymous_id": st.none(),
        "other": st.just(1),
    },
)


@st.composite
def batches(draw: st.DrawFn) -> list[Any]:
    """Events that are alike, of which a few may have something of their own."""
    common = draw(shared)
    some: list[Any] = [{**each, **common} for each in draw(st.lists(most, min_size=1, max_size=5))]
    for place, (name, value) in draw(
        st.lists(st.tuples(st.integers(0, len(some) - 1), odd_fields), max_size=2)
    ):
        some[place][name] = value
    for place in draw(st.lists(st.integers(0, len(some) - 1), max_size=1)):
        some[place].pop(draw(st.sampled_from(["user_id", "payload", "occurred_at"])), None)
    kind = draw(st.sampled_from([dict, dict, Event, OwnEvent]))
    if kind is not dict and all(
        {"user_id", "event_type"} <= each.keys() and not {"more", "other"} & each.keys()
        for each in some
    ):
        return [kind(**each) for each in some]
    return some


def one_by_one(events: Sequence[Any], anonymous_id: str | None) -> list[bytes] | None:
    try:
        encoded = [encode_event(each, NOW, anonymous_id) for each in events]
    except InvalidEventError:
        return None
    return encoded if all(len(each) <= LARGEST for each in encoded) else None


def time_of(event: Any) -> object:
    return event.get("occurred_at") if isinstance(event, dict) else event.occurred_at


@settings(
    max_examples=examples(1500),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(batches(), st.sampled_from([None, "visitor"]))
def test_events_have_the_same_bytes_at_once_and_one_by_one(
    events: list[Any], anonymous_id: str | None
) -> None:
    many = encode_many(events, NOW, anonymous_id, LARGEST)
    if many is not None:
        assert many.encoded == one_by_one(events, anonymous_id)
        assert many.are_timed == [time_of(each) is not None for each in events]


def test_one_that_is_refused_or_written_otherwise_is_not_passed_over() -> None:
    payloads = [inner for each in odd_values for inner in ({"a": each}, {"a": [{"b": each}]})]
    fields = [("occurred_at", TIMES), ("payload", payloads)]
    for name, value in ((name, each) for name, some in fields for each in some):
        events = [PLAIN, {**PLAIN, name: value}, PLAIN]
        for common in ({}, {"occurred_at": None}, {"occurred_at": TIMES[0]}):
            some = [{**common, **each} for each in events]
            many = encode_many(some, NOW, None, LARGEST)
            assert many is None or many.encoded == one_by_one(some, None), value


@pytest.mark.parametrize("kind", [dict, Event])
@pytest.mark.parametrize("time", [None, "2026-01-31T12:00:00Z"])
def test_events_that_are_alike_are_encoded_at_once(kind: Any, time: str | None) -> None:
    payload = {"a": [1.5, None, {"b": "c"}], "d": 1.5, "e": 7}
    event = {**PLAIN, "payload": payload, "occurred_at": time, "anonymous_id": None}
    for some in (event, PLAIN):
        many = encode_many([kind(**some)] * 3, NOW, "visitor", LARGEST)
        is_timed = some is event and time is not None
        assert many == Many([encode_event(some, NOW, "visitor")] * 3, [is_timed] * 3)


def test_times_of_many_moments_are_encoded_at_once() -> None:
    events = [{**PLAIN, "occurred_at": each} for each in [*TIMES[:4], *TIMES[11:13], None]]
    many = encode_many(events, NOW, None, LARGEST)
    assert many is not None
    assert many.encoded == one_by_one(events, None)
    assert many.are_timed == [True] * 6 + [False]


def test_a_payload_that_refers_back_to_itself_is_looked_at_alone() -> None:
    payload: dict[str, Any] = {}
    payload["a"] = [payload, payload]
    assert encode_many([{**PLAIN, "payload": payload}] * 3, NOW, None, LARGEST) is None


def test_without_orjson_events_are_encoded_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_json, "write_json", None)
    assert encode_many([PLAIN] * 3, NOW, None, LARGEST) is None


def test_a_name_that_is_not_snake_case_is_warned_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(encoding, "_warned_names", {})
    encode_many([{**PLAIN, "event_type": "Page Viewed"}] * 3, NOW, None, LARGEST)
    assert [each.getMessage() for each in caplog.records] == [
        "event_type 'Page Viewed' is not snake_case; it is sent as it is"
    ]


def received(events: list[Any]) -> list[Any]:
    """Events as they are read from the JSON that another SDK has sent."""
    found: list[Any] = orjson.loads(json.dumps(events, allow_nan=False))
    return found


def received_one_by_one(events: list[Any], anonymous_id: str | None) -> list[bytes] | None:
    try:
        encoded = [
            encode_received(each, orjson.dumps, now=NOW, anonymous_id=anonymous_id)
            for each in events
        ]
    except InvalidEventError:
        return None
    return encoded if all(len(each) <= LARGEST for each in encoded) else None


@settings(
    max_examples=examples(1500),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(batches(), st.sampled_from([None, "visitor"]), st.permutations([0, 1, 2, 3]))
def test_received_events_have_the_same_bytes_at_once_and_one_by_one(
    given_events: list[Any], anonymous_id: str | None, order: list[int]
) -> None:
    assume(all(isinstance(each, dict) for each in given_events))
    names = [("user_id", "event_type", "occurred_at", "payload")[place] for place in order]
    first = given_events[0]
    ordered = {name: first[name] for name in names if name in first}
    try:
        events = received([{**ordered, **first}, *given_events[1:]])
    except (TypeError, ValueError):
        reject()
    found = encode_received_many(events, NOW, anonymous_id, LARGEST)
    if found is not None:
        assert found.encoded == received_one_by_one(events, anonymous_id)
        assert found.are_timed == [time_of(each) is not None for each in events]


@pytest.mark.parametrize("time", [{}, {"occurred_at": None}, {"occurred_at": TIMES[0]}])
def test_received_events_that_are_alike_are_encoded_at_once(time: dict[str, Any]) -> None:
    events = received([{**PLAIN, "event_type": "Page Viewed", **time}] * 3)
    for visitor in (None, "visitor"):
        alone = received_one_by_one(events, visitor)
        found = encode_received_many(events, NOW, visitor, LARGEST)
        assert found == Many(alone or [], [bool(time.get("occurred_at"))] * 3)
    assert encode_received_many([*events, 7], NOW, None, LARGEST) is None
    assert encode_received_many([*events, {**events[0], "more": 1}], NOW, None, LARGEST) is None


def test_received_events_that_are_as_they_would_be_stored_are_stored_as_they_are() -> None:
    event = {
        "user_id": "ann",
        "event_type": "seen",
        "occurred_at": "2026-01-31T12:00:00+00:00",
        "payload": {"occurred_at": "2026-01-31T12:00:00+00:00"},
    }
    found = encode_received_many([event] * 3, NOW, None, LARGEST)
    assert found == Many([orjson.dumps(event)] * 3, [True] * 3)
    other = {name: event[name] for name in reversed(event)}  # of its two times the first counts
    found = encode_received_many([other] * 3, NOW, None, LARGEST)
    assert found == Many([orjson.dumps(event)] * 3, [True] * 3)


def test_without_orjson_received_events_are_encoded_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(many, "write_json", None)
    assert encode_received_many([PLAIN] * 3, NOW, None, LARGEST) is None
