"""Values of files keep what they say, or say what they are cast to."""

from __future__ import annotations

import hmac
import json
from collections import Counter
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from segops_durable import ConfigurationError, FieldMap, InvalidEventError
from segops_durable.events import Event, encode_event
from segops_durable.intake.mapping.values import typed
from segops_durable.intake.sources.json_objects import read_object

DIGITS_38 = "1234567890123456789012345678.0123456789"
ID = {"user_id": "ann", "event_type": "sold"}


def event_of(field_map: FieldMap, record: dict[str, Any], **how: Any) -> Event:
    return field_map.event_of({**ID, **record}, **how)


def payload_of(field_map: FieldMap, record: dict[str, Any], **how: Any) -> dict[str, Any]:
    event = event_of(field_map, record, **how)
    found: dict[str, Any] = json.loads(encode_event(event))["payload"]
    return found


@pytest.mark.parametrize(
    "text",
    [
        *("0012", "-0", "+5", "12E4", "1e5", "12e4", "1234e56", "12e45678", "1E400", "1_000"),
        *("1234567890123456789", "9007199254740993", DIGITS_38, "0.1234567890123456789"),
        *(" 5", "5 ", "5\n", "٣", "１２", ".5", "5.", "1,5", "0x1f", "nan", "inf", "NULL", "1.2.3"),  # noqa: RUF001 - digits that are none of JSON
    ],
)
def test_a_text_that_no_number_says_the_same_as_stays_a_text(text: str) -> None:
    assert typed(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("5", 5), ("-5", -5), ("0", 0), ("9007199254740992", 1 << 53)),
        *(("1.10", 1.1), ("3.10", 3.1), ("-0.5", -0.5), ("1e-05", 1e-05), ("1.5e+300", 1.5e300)),
        *(("0.10000000000000001", 0.1),),
        *(("true", True), ("False", False), ("", None)),
    ],
)
def test_a_text_is_typed_where_that_says_the_same(text: str, value: object) -> None:
    assert typed(text) == value
    assert type(typed(text)) is type(value)


@given(st.text(alphabet="0123456789.eE+-", max_size=45) | st.floats().map(repr))
@example("1.7976931348623159e+308")
@example("1e-324")
def test_a_number_is_the_same_number_as_its_text(text: str) -> None:
    found = typed(text)
    if isinstance(found, float):
        digits = {Decimal(repr(found)), Decimal(f"{found:.17g}"), Decimal(found)}
        assert Decimal(text) in digits
    elif isinstance(found, int) and not isinstance(found, bool):
        assert str(found) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_that_a_program_writes_comes_back(number: float) -> None:
    for text in (repr(number), f"{number:.17g}"):
        found = typed(text)
        assert found == number or str(found) == text


@pytest.mark.parametrize("text", ["1e5", "true", "1.10", "12e45678", "-0", "007", "null", "NaN"])
def test_ids_of_texts_are_never_typed(text: str) -> None:
    record = {"user_id": text, "event_type": text, "anonymous_id": text}
    event = FieldMap().event_of(record, is_text=True)
    sent = json.loads(encode_event(event))
    assert [sent[name] for name in ("user_id", "event_type", "anonymous_id")] == [text] * 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (10**30, "1" + "0" * 30),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Decimal(12345678901234567890), "12345678901234567890"),
    ],
)
def test_an_id_that_is_a_number_or_a_uuid_is_its_text(value: object, text: str) -> None:
    event = FieldMap().event_of({**ID, "user_id": value})
    assert json.loads(encode_event(event))["user_id"] == text


@pytest.mark.parametrize("value", [True, 5.0, None, "", b"ann", ["ann"], {"a": 1}, Decimal("1.5")])
def test_an_id_that_has_no_plain_text_costs_its_record(value: object) -> None:
    with pytest.raises(InvalidEventError, match="user_id"):
        encode_event(FieldMap().event_of({**ID, "user_id": value}))


@pytest.mark.parametrize(
    ("to", "value", "made"),
    [
        *(("text", "0012", "0012"), ("text", 12, "12"), ("text", b"ab", "ab"), ("text", "", "")),
        *(("text", {"a": 1}, '{"a": 1}'), ("text", Decimal("1E+2"), "100"), ("text", True, "true")),
        *(("integer", "0012", 12), ("integer", "12E4", 120000), ("integer", "5.0", 5)),
        *(("integer", 6.0, 6), ("integer", "1234567890123456789", 1234567890123456789)),
        *(("integer", "", None), ("number", "+1.5", 1.5), ("number", "1e5", 1e5)),
        *(("number", DIGITS_38, 1.2345678901234568e27), ("number", "0012", 12.0)),
        *(("number", "NaN", None), ("boolean", "No", False), ("boolean", 1, True)),
        *(("json", '{"a": [1.10]}', {"a": [1.1]}), ("json", DIGITS_38, DIGITS_38)),
        *(("time", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"), ("time", None, None)),
        ("time", 1767225600, "2026-01-01T00:00:00+00:00"),
    ],
)
def test_a_cast_says_what_a_value_is(to: Any, value: object, made: object) -> None:
    found = payload_of(FieldMap(casts={"x": to}), {"x": value}, is_text=isinstance(value, str))
    assert found == {"x": made}


@pytest.mark.parametrize(
    ("to", "value"),
    [
        *(("integer", "5.5"), ("integer", "five"), ("integer", True), ("integer", "1e999999")),
        *(("number", "1,5"), ("number", "12e45678"), ("number", "0x10"), ("number", "1e999999999")),
        *(("boolean", "maybe"), ("boolean", 2), ("json", "{"), ("json", "NaN"), ("text", b"\xff")),
        *(("json", "[" * 100_000), ("time", "noon"), ("time", True), ("time", 5)),
    ],
)
def test_a_value_that_cannot_be_cast_costs_its_record_and_is_named(to: Any, value: object) -> None:
    with pytest.raises(InvalidEventError, match=r"^x: "):
        payload_of(FieldMap(casts={"x": to}), {"x": value})


def test_nan_is_null_and_counted_or_refused_wherever_it_is() -> None:
    record = {"a": float("nan"), "b": [{"c": float("nan")}], "d": 1.5}
    tally: Counter[str] = Counter()
    found = payload_of(FieldMap(), dict(record), tally=tally)
    assert found == {"a": None, "b": [{"c": None}], "d": 1.5}
    assert list(tally.values()) == [2]
    with pytest.raises(InvalidEventError, match="a: NaN"):
        payload_of(FieldMap(nan="reject"), record)
    with pytest.raises(InvalidEventError, match="a: inf"):
        payload_of(FieldMap(), {"a": float("inf")})


def test_binary_is_base64_and_a_decimal_keeps_its_digits() -> None:
    exact = Decimal(DIGITS_38)
    record = {"a": b"\x00\xff", "b": Decimal("9.90"), "c": exact, "d": Decimal(10) ** 38}
    assert payload_of(FieldMap(), record) == {"a": "AP8=", "b": 9.9, "c": str(exact), "d": 10**38}


def test_an_entry_of_the_payload_hides_no_column() -> None:
    with pytest.raises(InvalidEventError, match=r"payload\.x: has a column of its own"):
        event_of(FieldMap(), {"payload": '{"x": 1}', "x": "2"}, is_text=True)
    found = payload_of(FieldMap(), {"payload": '{"x": "007"}', "y": "2"}, is_text=True)
    assert found == {"x": "007", "y": 2}
    with pytest.raises(InvalidEventError, match="payload: must be an object"):
        event_of(FieldMap(), {"payload": "[1]"}, is_text=True)


def test_a_time_that_is_mapped_is_never_the_time_of_the_import() -> None:
    field_map = FieldMap(columns={"occurred_at": "at"})
    for record in ({}, {"at": ""}, {"at": None}):
        with pytest.raises(InvalidEventError, match="occurred_at: is required, in the column 'at'"):
            event_of(field_map, dict(record))
    assert event_of(FieldMap(), {}).occurred_at is None


def test_what_is_dropped_or_hashed_is_not_in_the_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGOPS_HASH_SECRET", "pepper")
    field_map = FieldMap(drop_columns=["card"], hash_columns=["user_id", "phone"])
    record = {"user_id": "ann", "event_type": "sold", "card": "4111", "phone": 49, "n": None}
    event = field_map.event_of(record)
    assert event.user_id == hmac.new(b"pepper", b"ann", "sha256").hexdigest()
    assert event.payload == {"phone": hmac.new(b"pepper", b"49", "sha256").hexdigest(), "n": None}
    assert "4111" not in str(event)
    assert "pepper" not in repr(field_map)
    again = FieldMap(hash_columns=["phone"], hash_secret="salt")
    assert again.event_of({**ID, "phone": 49}).payload != {"phone": event.payload["phone"]}
    assert again.event_of({**ID, "phone": None}).payload == {"phone": None}
    assert again.event_of(dict(ID)).payload == {}, "nothing is hashed where there is nothing"
    with pytest.raises(InvalidEventError, match="phone: cannot be hashed"):
        again.event_of({**ID, "phone": [1]})


@pytest.mark.parametrize("secret", ["", "  "])
def test_without_a_secret_nothing_is_hashed(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.delenv("SEGOPS_HASH_SECRET", raising=False)
    with pytest.raises(ConfigurationError, match="needs a secret"):
        FieldMap(hash_columns=["phone"])
    monkeypatch.setenv("SEGOPS_HASH_SECRET", secret)
    with pytest.raises(ConfigurationError, match="SEGOPS_HASH_SECRET"):
        FieldMap(hash_columns=["phone"])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"casts": {"x": "float"}}, 'casts must be "text", "integer"'),
        ({"casts": {"user_id": "number"}}, "user_id may be cast to text or integer"),
        ({"casts": {"at": "text"}, "columns": {"occurred_at": "at"}}, "occurred_at may be cast"),
        ({"nan": "zero"}, 'nan must be "null" or "reject"'),
        ({"time_zone": "Europe/Bern2"}, "time_zone must be a name"),
        ({"time_zone": "Europe"}, "time_zone must be a name"),
        ({"time_zone": "../etc/passwd"}, "time_zone must be a name"),
        ({"time_unit": "min"}, "time_unit must be"),
        ({"time_unit": "s", "time_format": "%Y%m%d"}, "are for one thing"),
        ({"time_format": "%d.%m. %H:%M"}, "has no year"),
        ({"time_format": "%Y-%m"}, "has no day"),
        ({"time_format": "%Y-%m-%d %I:%M"}, "without %p"),
        ({"time_format": "%Y-%m-%d %H:%M %Z"}, "use %z"),
        ({"time_format": "%Y-%m-%d %Q"}, "bad directive"),
        ({"time_format": "%Y-%m-%d %"}, "stray"),
        ({"time_format": "%Y-%m-%d %d"}, "directive twice|redefinition"),
        ({"drop_columns": "card"}, "drop_columns must be a list"),
        ({"drop_columns": ["user_id"]}, "'user_id' is used otherwise"),
        ({"drop_columns": ["a"], "casts": {"a": "text"}}, "'a' is used otherwise"),
        ({"hash_columns": ["occurred_at"], "hash_secret": "s"}, "is used otherwise"),
        ({"hash_columns": ["a"], "casts": {"a": "text"}, "hash_secret": "s"}, "used otherwise"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        FieldMap(**options)


@pytest.mark.parametrize("option", ["casts", "drop_columns", "hash_columns"])
def test_a_column_that_an_option_names_must_be_there(option: str) -> None:
    value: Any = {"emial": "text"} if option == "casts" else ["emial"]
    field_map = FieldMap(**{option: value, "hash_secret": "s"})
    with pytest.raises(ConfigurationError, match="there is no column 'emial'"):
        field_map.check_columns(["user_id", "event_type", "email"])


def test_every_option_that_changes_an_event_changes_the_fingerprint() -> None:
    maps = [
        FieldMap(),
        FieldMap(casts={"x": "text"}),
        FieldMap(time_zone="UTC"),
        FieldMap(time_format="%Y%m%d"),
        FieldMap(time_unit="ms"),
        FieldMap(nan="reject"),
        FieldMap(drop_columns=["x"]),
        FieldMap(hash_columns=["x"], hash_secret="a"),
    ]
    assert len({each.fingerprint() for each in maps}) == len(maps)
    other = FieldMap(hash_columns=("x",), hash_secret="b")
    assert other.fingerprint() == maps[-1].fingerprint()


@pytest.mark.parametrize(
    "number",
    [
        *("0.1234567890123456789", "1.23456789012345678", "12345678901.12345678901"),
        *("12345678901234567.1", "-1234567890123456.0123456789", "1234567890.12345678"),
        *("12345678901234567890123456789012345678", "1234567890123456789.5"),
    ],
)
def test_a_number_of_json_that_no_double_holds_keeps_its_digits(number: str) -> None:
    document, _ = read_object(f'{{"a": {number}, "b": [{number}]}}'.encode())
    assert str(document["a"]) == number
    assert str(document["b"][0]) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_of_json_stays_one(number: float) -> None:
    document, _ = read_object(f'{{"a": {number!r}}}'.encode())
    assert document == {"a": number}


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 400 + ".5"])
def test_a_number_of_json_that_is_larger_than_any_double_costs_its_record(number: str) -> None:
    with pytest.raises(ValueError, match=r"infinity|larger"):
        read_object(f'{{"a": {number}}}'.encode())
