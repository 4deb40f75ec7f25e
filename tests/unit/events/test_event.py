from __future__ import annotations

import json
import logging
import pickle
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from segops_durable import Context, Event, InvalidEventError
from segops_durable.events import encode_event, make_event, make_identify_event


def encoded(**fields: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        encode_event(Event(**{"user_id": "u-1", "event_type": "page_viewed", **fields}))
    )
    return document


class Colour(Enum):
    RED = "red"


def test_a_payload_may_hold_what_json_can_and_a_few_types_more() -> None:
    payload = {
        "text": "grüße",
        "list": [1, 2.5, None, True, (3,)],
        "when": datetime(2026, 1, 31, 12, tzinfo=timezone.utc),
        "day": date(2026, 1, 31),
        "id": UUID(int=1),
        "price": Decimal("9.99"),
        "count": Decimal(12),
        "colour": Colour.RED,
    }
    assert encoded(payload=payload)["payload"] == {
        "text": "grüße",
        "list": [1, 2.5, None, True, [3]],
        "when": "2026-01-31T12:00:00+00:00",
        "day": "2026-01-31",
        "id": "00000000-0000-0000-0000-000000000001",
        "price": 9.99,
        "count": 12,
        "colour": "red",
    }


_CYCLE: dict[str, Any] = {}
_CYCLE["self"] = [_CYCLE]
_DEEP: list[Any] = []
for _ in range(100_000):
    _DEEP = [_DEEP]


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"items": [0, 1, 2, {"price": float("nan")}]}, "payload.items[3].price"),
        ({"a": float("inf")}, "payload.a"),
        ({"a": {"b": b"bytes"}}, "payload.a.b"),
        ({"a": {1: "x"}}, "payload.a"),
        ({"a": [{None: 1}]}, "payload.a[0]"),
        ({"a": ["\ud800"]}, "payload.a[0]"),
        ({"\udfff": 1}, "payload"),
        ({"a": {1, 2}}, "payload.a"),
        ({"a": Decimal("NaN")}, "payload.a"),
        ({"a": Decimal("1e999")}, "payload.a"),
        (_CYCLE, "payload.self[0]"),
        ("text", "payload"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_path_of_the_culprit(
    payload: Any, field: str
) -> None:
    with pytest.raises(InvalidEventError) as caught:
        encoded(payload=payload)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


def test_a_payload_too_deep_for_the_encoder_is_refused() -> None:
    with pytest.raises(InvalidEventError, match="nested deeper"):
        encoded(payload={"a": _DEEP})


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00.123456789+00:00"),
        ("2026-01-31 14:00:00,5+0200", "2026-01-31T12:00:00.5+00:00"),
        (
            datetime(2026, 1, 31, 14, tzinfo=timezone(timedelta(hours=2))),
            "2026-01-31T12:00:00+00:00",
        ),
    ],
)
def test_occurred_at_is_sent_in_utc_with_every_digit(given: Any, sent: str) -> None:
    assert encoded(occurred_at=given)["occurred_at"] == sent


def test_occurred_at_defaults_to_now_in_utc() -> None:
    before = datetime.now(timezone.utc)
    moment = datetime.fromisoformat(encoded()["occurred_at"])
    assert before <= moment <= datetime.now(timezone.utc)


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31T12:00:00",
        "2026-02-31T12:00:00Z",
        "yesterday",
        "2026-01-31",
        datetime(2026, 1, 31),  # noqa: DTZ001 - a naive one is the point
        17,
    ],
)
def test_a_time_without_a_zone_or_sense_is_refused(value: Any) -> None:
    with pytest.raises(InvalidEventError) as caught:
        encoded(occurred_at=value)
    assert caught.value.field == "occurred_at"
    assert caught.value.value is value


@pytest.mark.parametrize("name", ["user_id", "event_type"])
@pytest.mark.parametrize("value", ["", True, 7.0, None, "a\ud800"])
def test_a_name_that_is_no_text_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidEventError) as caught:
        encode_event(make_event({"user_id": "u", "event_type": "e", name: value}))
    assert caught.value.field == name


@pytest.mark.parametrize("value", ["an event", 3])
def test_something_that_is_no_event_is_refused(value: Any) -> None:
    with pytest.raises(InvalidEventError, match="must be"):
        make_event(value)
    with pytest.raises(InvalidEventError, match="must be"):
        make_identify_event(value)


def test_identify_takes_a_context_a_dict_or_keywords() -> None:
    expected = Event("u-1", "context_identified", payload={"plan": "pro"})
    assert make_identify_event(Context("u-1", {"plan": "pro"})) == expected
    assert make_identify_event({"user_id": "u-1", "traits": {"plan": "pro"}}) == expected
    assert make_identify_event(user_id="u-1", traits={"plan": "pro"}) == expected


def test_a_name_that_is_not_snake_case_is_sent_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "segops_durable"):
        for _ in range(3):
            assert encoded(event_type="Page Viewed")["event_type"] == "Page Viewed"
    assert len(caplog.records) == 1


def test_an_invalid_event_error_survives_pickling() -> None:
    error = InvalidEventError("payload.a", "is odd", object(), hint="mend it")
    again = pickle.loads(pickle.dumps(error))
    assert (again.field, again.hint, str(again)) == ("payload.a", "mend it", str(error))


def test_a_value_with_a_broken_repr_does_not_hide_the_complaint() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(InvalidEventError, match="Broken"):
        encoded(payload={"a": Broken()})
