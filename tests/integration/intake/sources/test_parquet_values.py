"""Whatever type a column of Parquet has: its values are kept, or cost one row."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segops_durable import FieldMap, SegOpsClient
from segops_durable.intake.sources.parquet_values import BadRow, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.one_python

BEYOND = 400_000 * 365  # days, of a year that Python has not
STAMP = pa.timestamp("ns")
NANOSECONDS = 1767225600_123_456_789


def queued(path: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as file:
        rows = file.execute("SELECT data FROM queue_outbox ORDER BY _id").fetchall()
    return [json.loads(row[0]) for row in rows]


def first(array: Any) -> Any:
    (row,) = rows_of(pa.record_batch({"x": array}))
    return row if isinstance(row, BadRow) else row["x"]


@pytest.mark.parametrize(
    ("array", "value"),
    [
        (pa.array([NANOSECONDS], pa.timestamp("ns")), "2026-01-01T00:00:00.123456789"),
        (
            pa.array([NANOSECONDS], pa.timestamp("ns", "Europe/Berlin")),
            "2026-01-01T00:00:00.123456789+00:00",
        ),
        (
            pa.array([NANOSECONDS], pa.timestamp("ns", "Mars/Olympus")),
            "2026-01-01T00:00:00.123456789+00:00",
        ),
        (pa.array([1767225600250], pa.timestamp("ms")), "2026-01-01T00:00:00.250000"),
        (pa.array([-1], pa.timestamp("us", "UTC")), "1969-12-31T23:59:59.999999+00:00"),
        (pa.array([0], pa.date32()), "1970-01-01"),
        (pa.array([86_400_000], pa.date64()), "1970-01-02"),
        (pa.array([3_723_000], pa.time32("ms")), "01:02:03"),
        (pa.array([1], pa.time64("ns")), "00:00:00.000000001"),
        (pa.array([90], pa.duration("s")), 90),
        (pa.array([1500], pa.duration("ms")), Decimal("1.5")),
        (pa.array([1], pa.duration("ns")), Decimal("1E-9")),
        (pa.array([b"\x00\xff"], pa.binary()), b"\x00\xff"),
        (pa.array([b"\x00\xff"], pa.binary(2)), b"\x00\xff"),
        (pa.array([Decimal("1.10")], pa.decimal128(38, 2)), Decimal("1.10")),
        (pa.array([1.5], pa.float32()).cast(pa.float16()), 1.5),
        (pa.array([[("a", 1), ("b", None)]], pa.map_("string", "int64")), {"a": 1, "b": None}),
        (pa.array([[(1, b"x")]], pa.map_("int32", "binary")), {"1": b"x"}),
        (pa.array([[]], pa.map_("string", "int64")), {}),
        (
            pa.array([[{"at": NANOSECONDS}, None]], pa.list_(pa.struct({"at": STAMP}))),
            [{"at": "2026-01-01T00:00:00.123456789"}, None],
        ),
        (pa.array([[0, 1]], pa.list_(pa.date32(), 2)), ["1970-01-01", "1970-01-02"]),
        (pa.array([[0]], pa.large_list(pa.date32())), ["1970-01-01"]),
        (pa.array([0], pa.date32()).dictionary_encode(), "1970-01-01"),
        (pa.array(["a"]).dictionary_encode(), "a"),
        (pa.nulls(1), None),
        *((pa.array([None], kind), None) for kind in (pa.timestamp("ns"), pa.duration("s"))),
        *((pa.nulls(1, kind), None) for kind in (pa.struct({"a": STAMP}), pa.list_(STAMP))),
    ],
)
def test_a_value_is_what_it_says(array: Any, value: object) -> None:
    assert first(array) == value


@pytest.mark.parametrize(
    "array",
    [
        pa.array([BEYOND], pa.date32()),
        pa.array([-BEYOND], pa.date32()),
        pa.array([BEYOND * 86_400], pa.timestamp("s", "UTC")),
        pa.array([(1 << 63) - 1], pa.timestamp("s")),
        pa.array([[BEYOND]], pa.list_(pa.date32())),
        pa.array([{"a": BEYOND}], pa.struct({"a": pa.date32()})),
        pa.array([[("a", BEYOND)]], pa.map_("string", pa.date32())),
        pa.array([[("a", 1), ("a", 2)]], pa.map_("string", "int64")),
        pa.array([[(b"\xff", 1)]], pa.map_("binary", "int64")),
        pa.array([b"\xff"], pa.binary()).view(pa.string()),
        pa.array([-1], pa.time32("s")),
        pa.array([90_000], pa.time32("s")),
    ],
)
def test_a_value_that_cannot_be_read_costs_one_row_and_is_named(array: Any) -> None:
    good = pa.nulls(1, array.type)
    rows = rows_of(
        pa.record_batch({"n": pa.array([1, 2, 3]), "x": pa.concat_arrays([good, array, good])})
    )
    assert [rows[0], rows[2]] == [{"n": 1, "x": None}, {"n": 3, "x": None}]
    assert isinstance(rows[1], BadRow)
    assert rows[1].reason.startswith("x: cannot be read: ")
    assert rows[1].values["n"] == 2


NESTED = pa.struct(
    {
        "days": pa.list_(pa.date32()),
        "by": pa.map_("string", pa.list_(pa.timestamp("us"))),
        "deep": pa.struct({"n": pa.int64()}),
    }
)
VALUES = st.none() | st.fixed_dictionaries(
    {
        "days": st.none() | st.lists(st.none() | st.integers(0, 20_000), max_size=4),
        "by": st.none()
        | st.dictionaries(
            st.text(max_size=3), st.none() | st.lists(st.integers(0, 1 << 50), max_size=2)
        ).map(lambda found: list(found.items())),
        "deep": st.none() | st.fixed_dictionaries({"n": st.none() | st.integers(0, 9)}),
    }
)


@given(st.lists(VALUES, max_size=12), st.integers(0, 12), st.integers(0, 12))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_slice_of_nested_values_is_that_part_of_them(
    values: list[Any], start: int, length: int
) -> None:
    array = pa.array(values, NESTED)
    part = pa.record_batch({"x": array}).slice(start, length)
    expected = []
    for value in values[start : start + length]:
        (row,) = rows_of(pa.record_batch({"x": pa.array([value], NESTED)}))
        expected.append(row)
    assert rows_of(part) == expected
    nulls = [isinstance(row, dict) and row["x"] is None for row in expected]
    assert nulls == [value is None for value in values[start : start + length]]


def test_one_bad_value_of_each_kind_costs_its_rows_alone(
    make_client: Callable[..., SegOpsClient], tmp_path: Path, queue_path: Path
) -> None:
    path, rejects = tmp_path / "a.parquet", tmp_path / "rejects.jsonl"
    moments = [NANOSECONDS // 1000] * 5 + [1 << 62]
    ids = [f"u-{number}" for number in range(6)]
    columns = {
        "user_id": pa.array(ids),
        "event_type": pa.array(["sold"] * 6),
        "occurred_at": pa.array(moments, pa.timestamp("us", "UTC")),
        "day": pa.array([0, BEYOND, 0, 0, 0, 0], pa.date32()),
        "price": pa.array([1.5, 1.5, float("nan"), float("inf"), 1.5, 1.5]),
        "blob": pa.array([b"\x00"] * 6),
        "amount": pa.array([Decimal("12345678901234567890123456.789012345678")] * 6),
    }
    pq.write_table(pa.table(columns), path)
    client = make_client()
    result = client.import_events(path, rejects=rejects)
    assert (result.stored, result.rejected) == (3, 3)
    assert client.import_events(path).stored == 0
    events = queued(queue_path)
    assert [event["user_id"] for event in events] == ["u-0", "u-2", "u-4"]
    assert events[0]["occurred_at"] == "2026-01-01T00:00:00.123456+00:00"
    assert events[0]["payload"] == {
        "day": "1970-01-01",
        "price": 1.5,
        "blob": base64.b64encode(b"\x00").decode(),
        "amount": "12345678901234567890123456.789012345678",
    }
    assert events[1]["payload"]["price"] is None
    reasons = [json.loads(line)["reason"] for line in rejects.read_text().splitlines()]
    assert [reason.partition(":")[0] for reason in reasons] == ["day", "price", "occurred_at"]


def test_times_without_a_zone_are_of_the_zone_that_is_said(
    make_client: Callable[..., SegOpsClient], tmp_path: Path, queue_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    columns = {
        "user_id": pa.array(["ann"]),
        "event_type": pa.array(["sold"]),
        "occurred_at": pa.array([NANOSECONDS], pa.timestamp("ns")),
    }
    pq.write_table(pa.table(columns), path)
    client = make_client()
    client.import_events(path, field_map=FieldMap(time_zone="Europe/Berlin"))
    (event,) = queued(queue_path)
    assert event["occurred_at"] == "2025-12-31T23:00:00.123456789+00:00"


def test_ids_that_are_numbers_of_a_database_are_their_digits(
    make_client: Callable[..., SegOpsClient], tmp_path: Path, queue_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    columns = {
        "user_id": pa.array([Decimal(12345678901234567890)], pa.decimal128(20, 0)),
        "event_type": pa.array(["sold"]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), path)
    make_client().import_events(path)
    (event,) = queued(queue_path)
    assert event["user_id"] == "12345678901234567890"
