"""With orjson or without, an event has the same bytes, or is refused in the same words."""

from __future__ import annotations

import json
import math
from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segops_durable import Event, InvalidEventError
from segops_durable.events import encode_event, fast_json
from support.examples import examples

if TYPE_CHECKING:
    from typing_extensions import Self

orjson = pytest.importorskip("orjson")

NOW = 1.8e9


class Text(str):
    """A text of another class."""

    __slots__ = ()


class Whole(int):
    """A number of another class."""


class Broken(float):
    """Likewise; as NumPy's float64 is one."""


class Entries(dict[str, Any]):
    """An object of another class."""


class Items(list[Any]):
    """A list of another class."""


class Level(IntEnum):
    HIGH = 3


class Mask(Flag):
    ONE = 1


class Plan(str, Enum):
    """Of which the text is one thing, and the value another."""

    PRO = "pro", 7

    def __new__(cls, text: str, number: int) -> Self:
        made = str.__new__(cls, text)
        made._value_ = str(number)
        return made


class Colour(Enum):
    RED = "red"
    NONE = None
    NO_NUMBER = math.nan


@dataclass
class Point:
    x: int = 1


class OwnEvent(Event):
    """An event of the application's own kind."""


Pair = namedtuple("Pair", "one other")  # noqa: PYI024 - it is one of the callers' values
EAST = timezone(timedelta(hours=2))
ANY_LETTER = st.characters(exclude_categories=())
ODD = [
    Text("text"),
    Text("\ud800"),
    Whole(7),
    Broken(1.5),
    Broken("nan"),
    Entries(a=1),
    Items([1]),
    OrderedDict(a=1),
    Pair(1, 2),
    Level.HIGH,
    Mask.ONE,
    Plan.PRO,
    Colour.RED,
    Colour.NONE,
    Colour.NO_NUMBER,
    Point(),
    Point,
    UUID(int=7),
    Decimal("1.10"),
    Decimal("NaN"),
    Decimal(10) ** 30,
    date(2026, 1, 31),
    time(12),
    datetime(2026, 1, 31, 12, tzinfo=timezone.utc),
    datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=EAST),
    datetime(2026, 1, 31, 12),  # noqa: DTZ001 - that is the point
    timedelta(1),
    b"bytes",
    bytearray(b"bytes"),
    memoryview(b"bytes"),
    {1, 2},
    frozenset(),
    1j,
    object(),
    range(3),
    MappingProxyType({"a": 1}),
    UserDict({"a": [Plan.PRO]}),
    orjson.Fragment(b'{"a":'),
]
NUMBERS = [2**53, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400, -0.0, 1e16, 1e-5]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(NUMBERS)
    | st.floats()
    | st.text(ANY_LETTER, max_size=6)
    | st.sampled_from(["\u2028", "\x00\x1f\x7f", '"\\/', "null", "é\U0001f600", "\ud83d\ude00"])
    | st.sampled_from(ODD)
)
keys = st.text(ANY_LETTER, max_size=4) | st.sampled_from(
    [Text("key"), 1, None, True, Plan.PRO, 1.5]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=8,
)
payloads = st.dictionaries(st.text(max_size=4) | keys, values, max_size=5) | values
ids = st.sampled_from(["ann", "", "\ud800", Text("ann"), 7, UUID(int=1), None, True, Plan.PRO])
names = st.sampled_from(["page_viewed", "Page Viewed", "", "\udfff", Text("seen"), 7, None])
times = st.sampled_from(
    [
        None,
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.250+00:00",
        "2026-02-30T12:00:00Z",
        "yesterday",
        datetime(2026, 1, 31, 12, tzinfo=EAST),
        7,
    ]
)
events = st.fixed_dictionaries(
    {"user_id": st.just("ann") | ids, "event_type": st.just("page_viewed") | names},
    optional={"occurred_at": times, "payload": payloads, "anonymous_id": ids, "other": scalars},
)


def repr_of_kind(value: object) -> str:
    return f"{type(value).__name__}-{ascii(value)[:50]}"


def outcome(event: Any, anonymous_id: str | None = None) -> tuple[Any, ...]:
    try:
        return ("sent", encode_event(event, NOW, anonymous_id))
    except InvalidEventError as error:
        return ("refused", str(error), error.field, error.value, error.hint)


def outcome_without(event: Any, anonymous_id: str | None = None) -> tuple[Any, ...]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fast_json, "write_json", None)
        return outcome(event, anonymous_id)


def as_json_has_it(data: bytes) -> bytes:
    """The same with numbers written as `json` does."""
    return json.dumps(json.loads(data), ensure_ascii=False, separators=(",", ":")).encode()


def check_that_they_agree(event: Any, anonymous_id: str | None = None) -> None:
    kind, *found = outcome(event, anonymous_id)
    other_kind, *expected = outcome_without(event, anonymous_id)
    assert kind == other_kind, (found, expected)
    if kind == "sent" and found != expected:
        assert [as_json_has_it(found[0])] == expected  # the floats, see below
    elif kind == "refused":
        assert [found[0], found[1], found[3]] == [expected[0], expected[1], expected[3]]
        assert found[2] is expected[2] or found[2] == expected[2]


thorough = settings(
    max_examples=examples(600),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@thorough
@given(events, st.sampled_from([None, "visitor"]))
def test_orjson_changes_neither_what_is_sent_nor_what_is_refused(
    event: dict[str, Any], anonymous_id: str | None
) -> None:
    check_that_they_agree(event, anonymous_id)
    check_that_they_agree(MappingProxyType(event), anonymous_id)
    if {"user_id", "event_type"} <= event.keys():
        event.pop("other", None)
        check_that_they_agree(Event(**event), anonymous_id)
        check_that_they_agree(OwnEvent(**event), anonymous_id)


@pytest.mark.parametrize("value", [*ODD, *NUMBERS, math.nan, math.inf], ids=repr_of_kind)
def test_a_value_that_orjson_knows_otherwise_is_written_as_it_is_without(value: Any) -> None:
    for payload in ({"a": value}, {"a": None, "b": [1, {"c": (value,)}]}, {"a": {"b": value}}):
        check_that_they_agree({"user_id": "ann", "event_type": "seen", "payload": payload})


@pytest.mark.parametrize("depth", [1, 90, 250, 260, 400, 100_000])
def test_what_is_nested_deep_is_sent_or_refused_as_without_orjson(depth: int) -> None:
    for start, wrap in (([], lambda inner: [inner]), ({}, lambda inner: {"a": inner})):
        value: Any = start
        for _ in range(depth):
            value = wrap(value)
        check_that_they_agree({"user_id": "ann", "event_type": "seen", "payload": {"a": value}})


@pytest.mark.parametrize("name", ["user_id", "event_type", "occurred_at", "payload"])
def test_an_event_that_lacks_a_field_is_taken_as_without_orjson(name: str) -> None:
    event = Event("ann", "seen", None, {"a": 1})
    delattr(event, name)
    check_that_they_agree(event)


def test_a_payload_that_refers_back_to_itself_is_refused_by_the_place_where_it_does() -> None:
    payload: dict[str, Any] = {}
    payload["a"] = [payload]
    check_that_they_agree({"user_id": "ann", "event_type": "seen", "payload": payload})


@thorough
@given(st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([1e16, 1e-5, 5e-324]))
def test_only_a_number_with_an_exponent_is_written_otherwise_and_is_the_same_number(
    number: float,
) -> None:
    event = {"user_id": "ann", "event_type": "seen", "payload": {"a": number}}
    found, expected = outcome(event)[1], outcome_without(event)[1]
    read = json.loads(found)["payload"]["a"]
    assert (read, math.copysign(1, read)) == (number, math.copysign(1, number))
    assert found == expected or "e" in repr(number)


def test_an_event_of_plain_values_is_written_by_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    write = fast_json.write_json
    assert write is not None

    def noted(document: Any) -> bytes:
        written.append(document)
        return write(document)

    monkeypatch.setattr(fast_json, "write_json", noted)
    payload = {"a": 1, "b": [1.5, None, {"c": "d"}], "e": True}
    for event in (
        {"user_id": "ann", "event_type": "seen", "payload": payload},
        Event("ann", "Page Viewed", "2026-01-31T12:00:00Z", payload),
    ):
        assert json.loads(encode_event(event, NOW))["payload"] == payload
    assert len(written) == 2
