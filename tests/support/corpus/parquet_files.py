"""Parquet, as pandas, Spark, DuckDB and others write it; rows are numbered from 1."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from support.corpus.case import Case, Reject, event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UTC = dt.timezone.utc
NOON = dt.datetime(2026, 1, 31, 12, tzinfo=UTC)
AT = "2026-01-31T12:00:00+00:00"


def table(rows: int = 1, /, **columns: Any) -> pa.Table:
    users = columns.pop("user_id", [f"u{n}" for n in range(1, rows + 1)])
    return pa.table({"user_id": users, "event_type": ["sold"] * rows, **columns})


def written(made: pa.Table, **options: Any) -> Callable[[Path], None]:
    return lambda path: pq.write_table(made, path, **options)


def of(name: str, about: str, content: Callable[[Path], object] | bytes, **more: Any) -> Case:
    return Case(name=f"{name}.parquet", about=about, content=content, is_binary=True, **more)


def column(values: list[Any], kind: pa.DataType) -> pa.Table:
    return table(len(values), v=pa.array(values, kind))


def events(*values: str) -> tuple[str, ...]:
    return tuple(event(f"u{n}", f'{{"v": {value}}}') for n, value in enumerate(values, 1))


def seconds(kind: pa.DataType, *values: int) -> pa.Array:
    return pa.array(values, pa.int64()).cast(kind)


def _dataset(path: Path) -> None:
    for number, day in enumerate(("2026-01-30", "2026-01-31"), 1):
        (path / f"day={day}").mkdir(parents=True)
        pq.write_table(table(1, n=[number]), path / f"day={day}" / "part-0.snappy.parquet")
    (path / "_SUCCESS").write_bytes(b"")


CASES = (
    of(
        "parquet_plain",
        "Nothing is odd: row groups, and a codec.",
        written(
            table(
                3, occurred_at=[NOON] * 3, n=[1, 2, 3], x=[0.5, None, 2.5], ok=[True, False, None]
            ),
            row_group_size=2,
            compression="zstd",
        ),
        events=(
            event("u1", '{"n": 1, "x": 0.5, "ok": true}', at=AT),
            event("u2", '{"n": 2, "x": null, "ok": false}', at=AT),
            event("u3", '{"n": 3, "x": 2.5, "ok": null}', at=AT),
        ),
    ),
    of("parquet_no_rows", "A table without rows.", written(table(0))),
    of(
        "parquet_ids",
        "Identifiers that are numbers, beyond what a double holds.",
        written(table(2, user_id=pa.array([17, 9007199254740993], pa.int64()))),
        events=(event("17"), event("9007199254740993")),
    ),
    of(
        "parquet_ids_dictionary",
        "pandas' categories: a dictionary of texts.",
        written(table(3, user_id=pa.array(["1e5", "007", "1e5"]).dictionary_encode())),
        events=(event("1e5"), event("007"), event("1e5")),
    ),
    of(
        "parquet_ids_double",
        "pandas makes doubles of integers where one is missing: 17.0 is not what it was.",
        written(table(2, user_id=pa.array([17.0, None]))),
        rejects=(Reject(1, 1, "user_id"), Reject(2, 2, "user_id")),
    ),
    of(
        "parquet_maps",
        "Maps are objects; lists and structs stay what they are.",
        written(
            table(
                1,
                m=pa.array([[("a", 1), ("b", None)]], pa.map_(pa.string(), pa.int64())),
                s=[{"x": [1, 2], "y": {"z": "w"}}],
                deep=pa.array(
                    [[{"m": [("k", "v")]}]],
                    pa.list_(pa.struct([("m", pa.map_(pa.string(), pa.string()))])),
                ),
            )
        ),
        events=(
            event(
                "u1",
                '{"m": {"a": 1, "b": null}, "s": {"x": [1, 2], "y": {"z": "w"}},'
                ' "deep": [{"m": {"k": "v"}}]}',
            ),
        ),
    ),
    of(
        "parquet_map_twice",
        "A map with one key twice: an object would lose one of the values.",
        written(column([[("a", 1), ("a", 2)], [("a", 1)]], pa.map_(pa.string(), pa.int64()))),
        events=(event("u2", '{"v": {"a": 1}}'),),
        rejects=(Reject(1, 1, "a"),),
    ),
    of(
        "parquet_time_of_day",
        "A time of day is a text.",
        written(column([dt.time(12, 34, 56, 789000), dt.time(0)], pa.time64("us"))),
        events=events('"12:34:56.789000"', '"00:00:00"'),
    ),
    of(
        "parquet_duration",
        "A duration is a number of seconds.",
        written(column([dt.timedelta(seconds=90), dt.timedelta(hours=-1)], pa.duration("ms"))),
        events=events("90", "-3600"),
    ),
    of(
        "parquet_binary",
        "Bytes are base64, also where they could be read as text.",
        written(column([b"\xff\x00", b"text", None], pa.binary())),
        events=events('"/wA="', '"dGV4dA=="', "null"),
    ),
    of(
        "parquet_nan",
        "NaN is null, unless --nan says otherwise; an infinity is no number at all.",
        written(column([1.5, float("nan"), float("inf")], pa.float64())),
        events=events("1.5", "null"),
        rejects=(Reject(3, 3, "inf"),),
    ),
    of(
        "parquet_nan_rejected",
        "--nan reject.",
        written(column([1.5, float("nan"), float("-inf")], pa.float64())),
        arguments=("--nan", "reject"),
        events=events("1.5"),
        rejects=(Reject(2, 2, "v"), Reject(3, 3, "v")),
    ),
    of(
        "parquet_decimal",
        "A decimal of 38 digits keeps them all.",
        written(
            column(
                [
                    decimal.Decimal("12345678901234567890123456789012345.678"),
                    decimal.Decimal("-0.001"),
                    decimal.Decimal("3.100"),
                ],
                pa.decimal128(38, 3),
            )
        ),
        events=events('"12345678901234567890123456789012345.678"', "-0.001", "3.1"),
    ),
    of(
        "parquet_integers",
        "Integers of 64 bits, with a sign and without.",
        written(
            table(
                1,
                a=pa.array([-(2**63)], pa.int64()),
                b=pa.array([2**64 - 1], pa.uint64()),
            )
        ),
        events=(event("u1", '{"a": -9223372036854775808, "b": 18446744073709551615}'),),
    ),
    of(
        "parquet_dates",
        "Days beyond the year 9999, and before 1: each costs its row, not the import.",
        written(
            column([0, 6_600_000, 20_484, -800_000], pa.int32()).cast(
                pa.schema(
                    [("user_id", pa.string()), ("event_type", pa.string()), ("v", pa.date32())]
                )
            )
        ),
        events=(event("u1", '{"v": "1970-01-01"}'), event("u3", '{"v": "2026-01-31"}')),
        rejects=(Reject(2, 2, "v"), Reject(4, 4, "v")),
    ),
    of(
        "parquet_times_beyond",
        "Times beyond the calendar, of a field and of the payload.",
        written(
            table(
                3,
                occurred_at=seconds(pa.timestamp("s", "UTC"), 0, 1 << 40, 0),
                v=seconds(pa.timestamp("s", "UTC"), 0, 0, -(1 << 40)),
            )
        ),
        events=(event("u1", '{"v": "1970-01-01T00:00:00+00:00"}', at="1970-01-01T00:00:00+00:00"),),
        rejects=(Reject(2, 2), Reject(3, 3)),
    ),
    of(
        "parquet_nanoseconds",
        "pandas writes nanoseconds: every digit stays.",
        written(
            table(
                2,
                occurred_at=seconds(pa.timestamp("ns", "UTC"), 1_769_860_800_123_456_789, 0),
                v=seconds(pa.timestamp("ns", "UTC"), 1_769_860_800_000_000_001, 0),
            )
        ),
        events=(
            event(
                "u1",
                '{"v": "2026-01-31T12:00:00.000000001+00:00"}',
                at="2026-01-31T12:00:00.123456789+00:00",
            ),
            event("u2", '{"v": "1970-01-01T00:00:00+00:00"}', at="1970-01-01T00:00:00+00:00"),
        ),
    ),
    of(
        "parquet_no_zone",
        "Timestamps without a zone, as Spark and pandas write them: --time-zone says it.",
        written(table(2, occurred_at=pa.array([NOON.replace(tzinfo=None), None]))),
        arguments=("--time-zone", "Europe/Berlin"),
        events=(event("u1", at="2026-01-31T11:00:00+00:00"), event("u2")),
    ),
    of(
        "parquet_other_zone",
        "A timestamp in the zone of New York is the same moment.",
        written(table(1, occurred_at=pa.array([NOON], pa.timestamp("us", "America/New_York")))),
        events=(event("u1", at=AT),),
    ),
    of(
        "parquet_no_user",
        "No column for the user.",
        written(pa.table({"uid": ["a"], "event_type": ["sold"]})),
        mentions="user_id",
    ),
    of(
        "parquet_column_twice",
        "Two columns of one name.",
        written(pa.table([["a"], ["sold"], [1], [2]], names=["user_id", "event_type", "n", "n"])),
        mentions="'n'",
    ),
    of(
        "parquet_bad_text",
        "A text that is no UTF-8 costs its row.",
        written(
            pa.table(
                [
                    ["u1", "u2"],
                    ["sold"] * 2,
                    pa.Array.from_buffers(
                        pa.string(),
                        2,
                        pa.array([b"\xff\xfe", b"ok"], pa.binary()).buffers(),
                    ),
                ],
                names=["user_id", "event_type", "v"],
            )
        ),
        events=(event("u2", '{"v": "ok"}'),),
        rejects=(Reject(1, 1, "v"),),
    ),
    of(
        "parquet_cut",
        "A copy that was cut off.",
        lambda path: path.write_bytes(b"PAR1" + bytes(200)),
        mentions="parquet_cut.parquet",
        status=1,
    ),
    of(
        "parquet_named_csv",
        "Parquet under another name is known by its first bytes.",
        written(table(1)),
        called="sales.csv",
        events=(event("u1"),),
    ),
    of(
        "parquet_of_json",
        "JSON Lines under the name of Parquet.",
        b'{"user_id": "ann", "event_type": "sold"}\n',
        mentions="Parquet",
    ),
    Case(
        name="hive_parquet",
        about="Spark: df.write.partitionBy('day').parquet(…).",
        content=_dataset,
        events=(
            event("u1", '{"n": 1, "day": "2026-01-30"}'),
            event("u1", '{"n": 2, "day": "2026-01-31"}'),
        ),
        is_binary=True,
    ),
)
