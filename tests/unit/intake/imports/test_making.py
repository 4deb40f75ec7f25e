"""Records that are as most are take a shorter way, to the same bytes and the same rejects."""

from __future__ import annotations

import io
import json
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segops_durable import FieldMap, FileOptions
from segops_durable.intake.imports import making
from segops_durable.intake.imports.making import Made, Maker
from segops_durable.intake.sources import json_objects
from segops_durable.intake.sources.lines import LONGEST_LINE
from segops_durable.intake.sources.opening import open_source
from segops_durable.intake.sources.source import BEGINNING
from segops_durable.system.clock import Moment
from support.examples import examples

NOW = Moment(1.8e9, 7.0, 9)

GOOD = (
    b'{"user_id":"ann","event_type":"sold","email":"ann@example.org","at":"2026-01-31T12:00:00Z"}'
)
MAPS = [
    FieldMap(),
    FieldMap(columns={"user_id": "email", "occurred_at": "at"}),
    FieldMap(columns={"payload": "props"}),
    FieldMap(constants={"event_type": "sold"}),
    FieldMap(constants={"user_id": "", "event_type": "Sold Out"}),
    FieldMap(constants={"occurred_at": "2026-01-31T12:00:00Z"}),
    FieldMap(kind="identify"),
    FieldMap(kind="identify", columns={"traits": "props"}),
    FieldMap(columns={"anonymous_id": "visitor"}),
    FieldMap(casts={"a": "text"}),
    FieldMap(drop_columns=["a"]),
    FieldMap(hash_columns=["a"], hash_secret="s3cret"),
    FieldMap(time_format="%Y-%m-%d %H:%M:%S", time_zone="UTC"),
    FieldMap(time_unit="ms", nan="reject"),
]
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | st.sampled_from([2**53 + 1, 2**64, 0.1, 1e16, 5e-324]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)
IDS: list[Any] = ["ann", "", "é", 7, 0, None, True, [], {}, "x" * 700]
VISITORS: list[Any] = [None, "", 0, False, "visitor", "ann"]
TIMES: list[Any] = [
    "2026-01-31T12:00:00Z",
    "2026-01-31T12:00:00.120Z",
    "2026-01-31T12:00:00+00:00",
    "2026-01-31T14:00:00+02:00",
    "2026-02-30T12:00:00Z",
    "2026-01-31 12:00:00",
    "2026-01-31 12:00:00 UTC",
    "Z",
    "",
    None,
    0,
    False,
    1_769_860_800_000,
    [],
]
PAYLOADS: list[Any] = [
    None, "", {}, {"b": 1}, {"a": 2}, {"a": None}, [], 0, False, "{", '{"b": 1}', {"user_id": "bob"}
]  # fmt: skip
ids, times = st.sampled_from(IDS), st.sampled_from(TIMES)
entries = values | st.dictionaries(st.sampled_from(["a", "b", "c"]), values, max_size=2)
records = st.fixed_dictionaries(
    {"user_id": st.just("ann") | ids, "event_type": st.sampled_from(["sold", "Sold", "", None, 7])},
    optional={
        "email": st.just("ann") | ids,
        "occurred_at": times,
        "at": times,
        "anonymous_id": st.sampled_from(["", None, 0, "visitor"]),
        "visitor": ids,
        "payload": entries | st.sampled_from(["", '{"a": 1}', "{"]),
        "props": entries,
        "traits": entries,
        "a": values,
        "b": values,
    },
)
odd_lines = st.sampled_from(
    [
        b"not JSON",
        b'"a text"',
        b"[]",
        b"\xef\xbb\xbf{}",
        b'{"user_id":"ann","event_type":"sold","a":1,"a":2}',
        b'{"user_id":"ann","event_type":"sold","a":{"b":1,"b":1}}',
        b'{"user_id":"ann","event_type":"sold","a":12345678901234567890}',
        b'{"user_id":"ann","event_type":"sold","a":0.1234567890123456789}',
        b'{"user_id":"ann","event_type":"sold","a":1.10,"b":1e400}',
        b'{"user_id":"ann","event_type":"sold","a":NaN}',
        b'{"user_id":"ann","event_type":"sold","a":"\\ud800"}',
        b'{"user_id":"ann","event_type":"sold","a":"\xff"}',
        b'{"user_id":"ann","event_type":"sold","a":' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"user_id":"ann","event_type":"sold","a":"' + b"x" * 1000 + b'"}',
    ]
)
lines = st.lists(records.map(lambda record: json.dumps(record).encode()) | odd_lines, max_size=6)


def made_of(data: bytes, field_map: FieldMap, anonymous_id: str | None, **options: Any) -> Any:
    source = open_source(io.BytesIO(data), "jsonl", FileOptions(**options))
    maker = Maker(field_map, 600, None)
    made = Made([], [], [], [])
    for chunk in source.chunks(BEGINNING):
        encoded, moments, rejected, _ = maker.make(source, chunk.records, NOW, anonymous_id)
        made.encoded.extend(encoded)
        made.moments.extend(moments)
        made.rejected.extend(rejected)
    return made, maker.tally


@settings(
    max_examples=examples(400),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(lines, st.sampled_from(MAPS), st.sampled_from([None, "visitor"]))
def test_records_come_to_the_same_by_the_short_way_and_by_the_long_one(
    some: list[bytes], field_map: FieldMap, anonymous_id: str | None
) -> None:
    check_both_ways(some, field_map, anonymous_id)


def check_both_ways(
    some: list[bytes], field_map: FieldMap, anonymous_id: str | None = None
) -> None:
    data = b"\n".join([GOOD, *some])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Maker, "_fast_maker", lambda *_: None)
        expected = made_of(data, field_map, anonymous_id)
    assert made_of(data, field_map, anonymous_id) == expected
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(making, "_MANY", 3)
        assert made_of(data, field_map, anonymous_id) == expected


@pytest.mark.parametrize("field_map", [*MAPS[:4], *MAPS[6:8]])
def test_most_records_take_the_short_way(
    field_map: FieldMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("orjson")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it took the long way")

    monkeypatch.setattr(Maker, "try_encode", refuse)
    record = {"user_id": "ann", "email": "ann@example.org", "event_type": "sold", "a": [1.5]}
    timed = {**record, "occurred_at": "2026-01-31T12:00:00Z", "at": "2026-01-31T12:00:00+00:00"}
    made, _ = made_of(json.dumps({**timed, "props": {"b": 1}}).encode(), field_map, None)
    assert len(made.encoded) == 1


def test_a_record_that_is_not_as_the_others_takes_the_long_way_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("orjson")
    looked_at: list[int] = []
    try_encode = Maker.try_encode

    def counted(maker: Maker, source: Any, record: Any, *rest: Any) -> Any:
        looked_at.append(record.line)
        return try_encode(maker, source, record, *rest)

    monkeypatch.setattr(Maker, "try_encode", counted)
    some = [GOOD] * 1000
    some[299], some[700] = GOOD.replace(b'"ann"', b"7"), b"{"
    made, _ = made_of(b"\n".join(some), FieldMap(), None)
    assert looked_at == [300, 701]
    assert len(made.encoded) == 999
    assert json.loads(made.encoded[299])["user_id"] == "7"


def test_without_orjson_each_line_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    read_strictly = json_objects.read_strictly

    def counted(line: bytes, parse_float: Any = None) -> Any:
        read.append(line)
        return read_strictly(line, parse_float)

    monkeypatch.setattr(json_objects, "_read_fast", None)
    monkeypatch.setattr(json_objects, "read_strictly", counted)
    monkeypatch.setattr(making, "write_json", None)
    made, _ = made_of(GOOD + b"\n", FieldMap(), None)
    assert len(made.encoded) == len(read) == 1


@pytest.mark.one_python
@pytest.mark.parametrize("field_map", MAPS)
def test_any_field_may_have_any_value_in_both_ways(field_map: FieldMap) -> None:
    some = []
    for user_id, visitor in product(IDS, VISITORS):
        for name, when in product(("occurred_at", "at"), TIMES):
            ids = {"user_id": user_id, "email": user_id, "event_type": "sold"}
            some.append({**ids, name: when, "anonymous_id": visitor, "visitor": visitor, "a": 1})
    for name, entries in product(("payload", "props", "traits"), PAYLOADS):
        ids = {"user_id": "ann", "email": "ann", "event_type": "sold", "at": TIMES[0]}
        some.append({**ids, "a": 1, name: entries})
        some.append({**ids, "occurred_at": TIMES[0], name: entries})
    check_both_ways([json.dumps(each).encode() for each in some], field_map)


def test_a_line_that_is_too_long_is_rejected_whatever_it_begins_with() -> None:
    long = GOOD + b" " * (LONGEST_LINE + 1)
    made, _ = made_of(b"\n".join([GOOD, long, GOOD]), FieldMap(), None)
    assert [reject["line"] for reject in made.rejected] == [2]
    assert len(made.encoded) == 2


def test_a_line_in_another_encoding_is_decoded_first() -> None:
    record = {"user_id": "ann", "event_type": "sold", "a": "Ã©"}  # whose bytes are UTF-8, too
    data = json.dumps(record, ensure_ascii=False).encode("latin-1")
    made, _ = made_of(data, FieldMap(), None, encoding="latin-1")
    assert json.loads(made.encoded[0])["payload"] == {"a": "Ã©"}


def test_what_a_directory_says_is_added_first() -> None:
    source = open_source(io.BytesIO(GOOD), "jsonl")
    source.partitions = {"day": "7"}
    chunk = next(iter(source.chunks(BEGINNING)))
    made = Maker(FieldMap(), 600, None).make(source, chunk.records, NOW, None)
    assert json.loads(made.encoded[0])["payload"]["day"] == "7"
