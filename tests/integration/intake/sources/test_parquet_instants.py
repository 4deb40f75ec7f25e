"""Instants that Spark writes as INT96, which has no zone."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segops_durable.intake.sources.opening import open_source
from segops_durable.intake.sources.source import BEGINNING

if TYPE_CHECKING:
    from pathlib import Path

SPARK = {"org.apache.spark.version": "4.0.0"}
AT = datetime(2026, 1, 31, 12, 0, 0, 5)  # noqa: DTZ001 - as such a column has it


def read(path: Path) -> list[dict[str, Any]]:
    source = open_source(path)
    return [source.parse(each)[0] for chunk in source.chunks(BEGINNING) for each in chunk.records]


def written(path: Path, columns: dict[str, Any], metadata: dict[str, str]) -> Path:
    table = pa.table(columns)
    given: dict[str, Any] = {"use_deprecated_int96_timestamps": True, "store_schema": False}
    with pq.ParquetWriter(path, table.schema, **given) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(metadata)
    return path


def test_they_are_in_utc_wherever_they_are_nested(tmp_path: Path) -> None:
    us = pa.timestamp("us")
    columns = {
        "at": pa.array([AT, None], us),
        "within": pa.array([{"at": AT}, None], pa.struct([("at", us)])),
        "list": pa.array([[AT], []], pa.list_(us)),
        "map": pa.array([[("k", AT)], None], pa.map_(pa.string(), us)),
        "n": [1, 2],
    }
    first, second = read(written(tmp_path / "x.parquet", columns, SPARK))
    text = "2026-01-31T12:00:00.000005+00:00"
    assert str(first["at"]).replace(" ", "T") == text
    assert [str(first[name]) for name in ("within", "list", "map")] == [
        str({"at": first["at"]}),
        str([first["at"]]),
        str({"k": first["at"]}),
    ]
    assert second == {"at": None, "within": None, "list": [], "map": None, "n": 2}


def test_those_of_others_have_no_zone_as_they_may_be_local(tmp_path: Path) -> None:
    (row,) = read(written(tmp_path / "x.parquet", {"at": pa.array([AT], pa.timestamp("us"))}, {}))
    assert "+" not in str(row["at"])


@pytest.mark.parametrize("year", [1600, 2500, 9999])
def test_a_year_that_nanoseconds_do_not_reach_is_that_year(tmp_path: Path, year: int) -> None:
    at = pa.array([AT.replace(year=year)], pa.timestamp("us"))
    (row,) = read(written(tmp_path / "x.parquet", {"at": at}, SPARK))
    assert str(row["at"]).startswith(f"{year}-01-31")
