"""Whatever a caller hands over: it is stored as it is meant, or refused by its name."""

from __future__ import annotations

import json
from collections import ChainMap, OrderedDict, UserDict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any

import pytest

from segops_durable import Context, Event, InvalidEventError
from segops_durable.events import encode_event, make_event, make_identify_event, retimed


class NoTime(datetime):
    """As pandas' NaT: a datetime that is none."""

    def isoformat(self, *_: object, **__: object) -> str:
        return "NaT"

    def astimezone(self, _zone: tzinfo | None = None) -> NoTime:
        return self


class OddZone(tzinfo):
    def utcoffset(self, _moment: datetime | None) -> timedelta:
        raise KeyError("no such zone")

    def dst(self, _moment: datetime | None) -> timedelta:
        raise KeyError("no such zone")

    def tzname(self, _moment: datetime | None) -> str:
        raise KeyError("no such zone")


class Unreadable(Mapping[str, Any]):
    """A mapping of which every method raises what nobody expects."""

    def __getitem__(self, key: str) -> Any:
        raise LookupError(key)

    def get(self, *_: object) -> Any:
        raise OSError("the database is gone")

    def __iter__(self) -> Iterator[str]:
        raise ZeroDivisionError

    def __len__(self) -> int:
        raise ZeroDivisionError

    def __repr__(self) -> str:
        raise ZeroDivisionError


class Undecided:
    """As pandas' NA, an array, a data frame: neither true nor false."""

    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")

    def __eq__(self, other: object) -> bool:
        raise ValueError("the truth value is ambiguous")

    __hash__ = object.__hash__


class OddText(str):
    """A text whose own methods say something else."""

    __slots__ = ()

    def __str__(self) -> str:
        raise ZeroDivisionError

    def __hash__(self) -> int:
        raise ZeroDivisionError

    def __repr__(self) -> str:
        raise ZeroDivisionError

    def encode(self, *_: object) -> bytes:
        raise ZeroDivisionError


class Plan(str, Enum):
    PRO = "pro"


class Level(IntEnum):
    HIGH = 3


class Loop(Enum):
    SELF = 1

    @property
    def value(self) -> Any:
        return self


EAST, WEST = timezone(timedelta(hours=2)), timezone(-timedelta(hours=2))
NO_TIME = NoTime(2026, 1, 1, tzinfo=timezone.utc)


def repr_of_kind(value: object) -> str:
    return f"{type(value).__name__}-{ascii(value)[:12] if isinstance(value, int | str) else ''}"


def stored(**fields: Any) -> Any:
    given = {"user_id": "ann", "event_type": "page_viewed", **fields}
    return json.loads(encode_event(make_event(**given), now=1.8e9))


@pytest.mark.parametrize(
    "value",
    [0, 0.0, False, True, "", "text", [], (("a", 1),), set(), b"", object(), dict, Undecided()],
    ids=repr_of_kind,
)
def test_what_is_no_mapping_is_no_payload_however_false_it_is(value: Any) -> None:
    for make in (
        lambda: make_event(user_id="ann", event_type="page_viewed", payload=value),
        lambda: make_event({"user_id": "ann", "event_type": "page_viewed", "payload": value}),
        lambda: encode_event(Event("ann", "page_viewed", payload=value)),
    ):
        with pytest.raises(InvalidEventError, match="must be a dict") as caught:
            make()
        assert caught.value.field == "payload"
    for make in (
        lambda: make_identify_event(None, "ann", value),
        lambda: make_identify_event({"user_id": "ann", "traits": value}),
        lambda: make_identify_event(Context("ann", value)),
    ):
        with pytest.raises(InvalidEventError, match="must be a dict") as caught:
            make()
        assert caught.value.field == "traits"


@pytest.mark.parametrize(
    "mapping",
    [
        MappingProxyType({"a": 1}),
        UserDict({"a": 1}),
        ChainMap({"a": 1}, {"a": 2}),
        OrderedDict(a=1),
    ],
)
def test_any_mapping_is_taken_as_it_is_meant(mapping: Mapping[str, Any]) -> None:
    assert stored(payload=mapping)["payload"] == {"a": 1}
    assert stored(payload={"in": [mapping]})["payload"] == {"in": [{"a": 1}]}
    event = MappingProxyType(
        {"user_id": "ann", "event_type": "page_viewed", "payload": mapping, "occurred_at": None}
    )
    assert json.loads(encode_event(make_event(event)))["payload"] == {"a": 1}
    identify = make_identify_event(UserDict({"user_id": "ann", "traits": mapping}))
    assert json.loads(encode_event(identify))["payload"] == {"a": 1}


def test_a_key_that_is_no_text_is_refused_in_any_mapping() -> None:
    for payload in (MappingProxyType({1: "x"}), {"in": [UserDict({None: "x"})]}):
        with pytest.raises(InvalidEventError, match="keys must be strings"):
            stored(payload=payload)


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        (datetime.min.replace(tzinfo=EAST), "no such time"),
        (datetime.max.replace(tzinfo=WEST), "no such time"),
        ("0001-01-01T00:00:00+02:00", "no such time"),
        ("9999-12-31T23:59:59-02:00", "no such time"),
        ("0000-01-01T00:00:00Z", "no such time"),
        (NO_TIME, "no time"),
        (datetime(2026, 1, 1, tzinfo=OddZone()), "no such time"),
        (1_800_000_000, "must be ISO 8601"),
        (Undecided(), "must be ISO 8601"),
        (datetime(2026, 1, 1), "must have a time zone"),  # noqa: DTZ001 - that is the point
        ("", "must be ISO 8601"),
        (False, "must be ISO 8601"),
    ],
)
def test_a_time_beyond_the_calendar_or_that_is_none_is_refused(when: Any, problem: str) -> None:
    with pytest.raises(InvalidEventError, match=problem) as caught:
        stored(occurred_at=when)
    assert caught.value.field == "occurred_at"


@pytest.mark.parametrize(
    "value", [NO_TIME, [NO_TIME], {"b": NO_TIME}, MappingProxyType({"b": NO_TIME})]
)
def test_no_time_ever_becomes_a_text(value: Any) -> None:
    with pytest.raises(InvalidEventError, match="not a time") as caught:
        stored(payload={"a": value})
    assert caught.value.field.startswith("payload.a")


@pytest.mark.parametrize(
    "value",
    [
        Undecided(),
        Unreadable(),
        [Unreadable()],
        Loop.SELF,
        Decimal("sNaN"),
        Decimal("1e999999"),
        [10**5000],
        "\ud800",
        {"\ud800": 1},
        b"bytes",
        datetime(2026, 1, 1, tzinfo=OddZone()),
        iter(()),
    ],
)
def test_no_value_raises_anything_but_the_error_that_names_it(value: Any) -> None:
    with pytest.raises(InvalidEventError) as caught:
        stored(payload={"a": value})
    assert caught.value.field.startswith("payload.a")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["user_id", "event_type"])
@pytest.mark.parametrize(
    "value", [0.0, False, "", b"ann", Undecided(), ["ann"], "\ud800", Level.HIGH]
)
def test_a_name_that_is_no_text_is_refused_by_its_field(field: str, value: Any) -> None:
    with pytest.raises(InvalidEventError) as caught:
        stored(**{field: value})
    assert caught.value.field == field


def test_texts_and_numbers_of_other_classes_are_sent_as_what_they_hold() -> None:
    odd = stored(
        user_id=OddText("ann"), event_type=OddText("Odd Name"), payload={"a": OddText("b")}
    )
    assert (odd["user_id"], odd["event_type"], odd["payload"]) == ("ann", "Odd Name", {"a": "b"})
    payload = {"plan": Plan.PRO, "level": Level.HIGH, "flag": True}
    assert stored(payload=payload)["payload"] == {"plan": "pro", "level": 3, "flag": True}
    with pytest.raises(InvalidEventError, match="must be ISO 8601"):
        stored(occurred_at=OddText("yesterday"))
    assert stored(occurred_at=OddText("2026-01-31T12:00:00Z"))["occurred_at"][:10] == "2026-01-31"


@pytest.mark.parametrize(
    "event", [0, "", (), object(), Undecided(), Unreadable(), Event], ids=repr_of_kind
)
def test_what_is_no_event_is_refused_as_such(event: Any) -> None:
    for make, field in ((make_event, "event"), (make_identify_event, "context")):
        with pytest.raises(InvalidEventError) as caught:
            make(event)
        assert caught.value.field == field


def test_an_event_without_its_fields_is_refused() -> None:
    event = Event("ann", "page_viewed")
    del event.user_id
    with pytest.raises(InvalidEventError, match="cannot be read"):
        encode_event(event)


def test_a_payload_of_none_is_an_empty_one() -> None:
    event: Any = Event("ann", "page_viewed", payload=None)  # type: ignore[arg-type]  # as callers do
    assert json.loads(encode_event(event))["payload"] == {}


def test_a_payload_that_is_changed_while_it_is_read_is_refused() -> None:
    class Meanwhile(list[int]):
        """What another thread may do at this very moment."""

        def __iter__(self) -> Iterator[int]:
            payload[f"new-{len(payload)}"] = 1
            return super().__iter__()

    payload: dict[str, Any] = {"a": Meanwhile([1]), "b": 2}
    with pytest.raises(InvalidEventError, match="another thread changes it") as caught:
        stored(payload=payload)
    assert caught.value.field == "payload"
    assert caught.value.hint


@pytest.mark.parametrize(
    "data", [b"{}", b"", b'{"a":1}', b'"occurred_at":"', b'{"occurred_at":null}']
)
def test_what_has_no_time_stays_as_it_is_when_the_clock_is_set(data: bytes) -> None:
    assert retimed(data, 1.8e9) == data


@pytest.mark.parametrize("now", [float("nan"), float("inf"), -float("inf"), 1e300, -1e300, 1 << 70])
def test_a_clock_beyond_the_calendar_stops_nothing(now: float) -> None:
    data = encode_event(Event("ann", "page_viewed"), now=now)
    assert retimed(data, now) == data
