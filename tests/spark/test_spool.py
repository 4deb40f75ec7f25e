"""A spool that a real Spark has written: its values, and kills while it is sent."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import SegOpsClient

pytest.importorskip("pyspark")

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from segops_durable.sandbox import Sandbox

TOOL = Path(__file__).parents[2] / "tools" / "spool.py"
COLUMNS = (
    "concat('user-', id) AS user_id",
    "'page_viewed' AS event_type",
    "timestamp_micros(1767225600123456 + id) AS occurred_at",
    "id AS n",
)


def imported(directory: Path, sandbox: Sandbox, home: Path) -> list[dict[str, Any]]:
    """What comes of a directory, by its numbers."""
    path = home / "outbox.db"
    with SegOpsClient(sandbox.url, "sk_test", queue_path=path, batch_size=500) as client:
        client.import_events(directory)
        client.flush().raise_for_pending()
    events = (row["event"] for row in sandbox.events())
    return sorted(events, key=lambda event: event["payload"]["n"])


@pytest.mark.timeout(280)
def test_kills_while_a_spool_is_sent_lose_no_row_and_give_no_key_two_bodies() -> None:
    done = subprocess.run(
        [sys.executable, str(TOOL), "--rows", "5000", "--kills", "3", "--seed", "2026"],
        env={name: value for name, value in os.environ.items() if not name.startswith("SEGOPS_")},
        capture_output=True,
        text=True,
        timeout=270,
        check=False,
    )
    (verdict,) = (line for line in done.stdout.splitlines() if line.startswith("VERDICT"))
    assert done.returncode == 0, verdict
    assert "5,000 delivered, 0 lost, 0 altered, 0 keys with two bodies" in verdict


@pytest.mark.parametrize("kind", ["INT96", "TIMESTAMP_MICROS", "TIMESTAMP_MILLIS"])
def test_an_instant_of_spark_is_that_instant_however_it_is_written(
    spark: SparkSession, sandbox: Sandbox, tmp_path: Path, kind: str
) -> None:
    spark.conf.set("spark.sql.parquet.outputTimestampType", kind)
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    rows = spark.range(0, 2, 1, 1).selectExpr(
        *COLUMNS,
        "struct(timestamp_micros(id) AS at) AS within",
        "array(timestamp_seconds(95617584000)) AS far",  # of the year 5000
    )
    rows.write.parquet(str(tmp_path / "out"))
    (event, _) = imported(tmp_path / "out", sandbox, tmp_path)
    fraction = "123000" if kind == "TIMESTAMP_MILLIS" else "123456"
    assert event["occurred_at"] == f"2026-01-01T00:00:00.{fraction}+00:00"
    assert event["payload"] == {
        "n": 0,
        "within": {"at": "1970-01-01T00:00:00+00:00"},
        "far": ["5000-01-01T00:00:00+00:00"],
    }


def test_values_that_are_nested_keep_their_shapes_and_partitions_are_columns(
    spark: SparkSession, sandbox: Sandbox, tmp_path: Path
) -> None:
    rows = spark.range(0, 3, 1, 1).selectExpr(
        *COLUMNS,
        "CAST('12345678901234567890.12' AS DECIMAL(38, 2)) AS exact",
        "CAST(1.5 AS DECIMAL(10, 2)) AS price",
        "struct('a' AS x, array(1, 2) AS list, map('k', struct(true AS yes)) AS by_name) AS deep",
        "DATE'2026-11-29' AS ends",
        "CAST(NULL AS STRING) AS nothing",
        "TIMESTAMP_NTZ'2026-11-29 12:00:00' AS wall",
        "DATE'2026-11-01' AS day",
    )
    rows.write.partitionBy("day").parquet(str(tmp_path / "out"))
    payload = imported(tmp_path / "out", sandbox, tmp_path)[2]["payload"]
    assert payload == {
        "n": 2,
        "exact": "12345678901234567890.12",
        "price": 1.5,
        "deep": {"x": "a", "list": [1, 2], "by_name": {"k": {"yes": True}}},
        "ends": "2026-11-29",
        "nothing": None,
        "wall": "2026-11-29T12:00:00",
        "day": "2026-11-01",
    }


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4"])
def test_every_compression_of_spark_is_read(
    spark: SparkSession, sandbox: Sandbox, tmp_path: Path, codec: str
) -> None:
    rows = spark.range(0, 50, 1, 2).selectExpr(*COLUMNS)
    rows.write.option("compression", codec).parquet(str(tmp_path / "out"))
    assert len(imported(tmp_path / "out", sandbox, tmp_path)) == 50


def test_of_a_spool_without_rows_nothing_comes_and_of_one_with_json_or_csv_each_row(
    spark: SparkSession, sandbox: Sandbox, tmp_path: Path
) -> None:
    rows = spark.range(0, 40, 1, 4).selectExpr(*COLUMNS)
    rows.where("id < 0").write.parquet(str(tmp_path / "empty"))
    assert imported(tmp_path / "empty", sandbox, tmp_path) == []
    rows.where("id < 20").write.option("compression", "gzip").json(str(tmp_path / "json"))
    rows.where("id >= 20").write.option("header", "true").csv(str(tmp_path / "csv"))
    imported(tmp_path / "json", sandbox, tmp_path)
    events = imported(tmp_path / "csv", sandbox, tmp_path)
    assert [each["payload"]["n"] for each in events] == list(range(40))
    assert all(re.search(r"(Z|[+-]\d\d:\d\d)$", each["occurred_at"]) for each in events)
    assert json.loads(json.dumps(events)) == events
