"""Writes and streams of a real Spark, `local[2]`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException, StreamingQueryException
from pyspark.sql import functions

from segops_durable.spark import partitioned
from segops_durable.spark.place import SPECULATION, Place
from segops_durable.spark.scratch import uuid_of
from support.spark_runs import numbers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyspark.sql import SparkSession

    from segops_durable.sandbox import Sandbox


FAILED = (PySparkException, Py4JError)
"""What a write that failed raises: Spark 4.0 has it as the gateway to the JVM gives it."""


@pytest.fixture
def run_stream(
    spark: SparkSession, parquet: Path, options: dict[str, str], tmp_path: Path
) -> Callable[..., None]:
    """Runs a stream of the events, 250 to a micro-batch, until it is over; or goes on with it."""

    def run(**more: str) -> None:
        rows = spark.readStream.schema(spark.read.parquet(str(parquet)).schema)
        stream = rows.option("maxFilesPerTrigger", 1).parquet(str(parquet))
        writer = partitioned(stream, 2).writeStream.format("segops")
        for name, value in {**options, **more}.items():
            writer = writer.option(name, value)
        writer = writer.option("checkpointLocation", str(tmp_path / "checkpoint"))
        writer.trigger(availableNow=True).start().awaitTermination()

    return run


def test_each_row_of_a_table_arrives_once_and_nothing_is_left(
    spark: SparkSession,
    parquet: Path,
    save: Callable[..., None],
    sandbox: Sandbox,
    scratch: Path,
) -> None:
    save(partitioned(spark.read.parquet(str(parquet)), 2))
    assert numbers(sandbox) == list(range(1000))
    assert sandbox.summary()["events"] == 1000
    assert sandbox.summary()["requests"] <= 22
    assert not any(scratch.iterdir())


def test_a_mode_that_is_not_append_is_refused_and_so_is_a_key_that_is_not_repeated(
    spark: SparkSession, parquet: Path, save: Callable[..., None], sandbox: Sandbox
) -> None:
    rows = spark.read.parquet(str(parquet))
    with pytest.raises(FAILED, match="mode must be append"):
        save(rows, "overwrite")
    with pytest.raises(FAILED, match="api_key must not be an option") as caught:
        save(rows, api_key="sk_secret_1234")
    assert "secret_1234" not in str(caught.value)
    assert sandbox.requests() == []


def test_a_write_whose_rows_are_refused_fails_until_they_may_be_dead_letters(
    spark: SparkSession,
    parquet: Path,
    save: Callable[..., None],
    sandbox: Sandbox,
    tmp_path: Path,
) -> None:
    is_bad = functions.col("n") % 100 == 0
    user = functions.when(is_bad, None).otherwise(functions.col("user_id"))
    rows = partitioned(spark.read.parquet(str(parquet)).withColumn("user_id", user), 2)
    with pytest.raises(FAILED, match="10 rows of the job, batch 0, were no events"):
        save(rows, job="the job")
    assert sandbox.summary()["events"] == 990
    letters = tmp_path / "letters"
    save(rows, job="the job", dead_letters=str(letters), max_errors="10")
    assert sandbox.summary()["events"] == 990
    (file,) = letters.iterdir()
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert sorted(each["record"]["n"] for each in lines) == [*range(0, 1000, 100)]


def test_speculation_is_refused_before_anything_is_sent(
    spark: SparkSession, parquet: Path, save: Callable[..., None], sandbox: Sandbox
) -> None:
    spark.sparkContext.setLocalProperty(SPECULATION, "true")
    try:
        with pytest.raises(FAILED, match=r"spark\.speculation must be false"):
            save(partitioned(spark.read.parquet(str(parquet)), 2))
    finally:
        spark.sparkContext.setLocalProperty(SPECULATION, None)
    assert sandbox.requests() == []


def test_a_task_is_tried_again_by_spark_and_goes_on(
    spark: SparkSession, parquet: Path, save: Callable[..., None], sandbox: Sandbox
) -> None:
    sandbox.faults(status=503, times=8, rate=0.5, seed=1)
    save(partitioned(spark.read.parquet(str(parquet)), 2), drain_timeout="0.1")
    assert numbers(sandbox) == list(range(1000))
    assert sandbox.summary()["events"] == 1000


def test_a_stream_delivers_each_row_once_though_a_commit_fails_and_its_batch_is_replayed(
    run_stream: Callable[..., None], sandbox: Sandbox, tmp_path: Path, scratch: Path
) -> None:
    letters = tmp_path / "letters"
    letters.touch()  # no directory: what is to be written there cannot be
    # 50 events are refused down to a single one in seven steps, whichever of two lanes they fall to
    sandbox.faults(status=400, times=13)
    with pytest.raises(StreamingQueryException, match="letters"):
        run_stream(dead_letters=str(letters))
    sent = sandbox.summary()["events"]
    letters.unlink()
    run_stream(dead_letters=str(letters))
    refused = [
        json.loads(line)["event"]["payload"]["n"]
        for file in letters.iterdir()
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    assert 0 < sent < 260
    assert refused
    assert sorted([*numbers(sandbox), *refused]) == list(range(1000))
    assert sandbox.summary()["events"] == 1000 - len(refused)
    assert sandbox.summary()["conflicting_keys"] == 0
    (query,) = scratch.iterdir()
    assert [each.name for each in query.iterdir()] == ["3"]  # until Spark has noted its commit


def test_spark_says_to_a_task_of_a_stream_which_query_and_batch_it_is_of(
    run_stream: Callable[..., None], sandbox: Sandbox, tmp_path: Path, spark: SparkSession
) -> None:
    """An internal of Spark, that holds for this version: keys are made of it."""
    run_stream()
    meta = json.loads((tmp_path / "checkpoint" / "metadata").read_text(encoding="utf-8"))
    uuids = {each["idempotency_key"][:36] for each in sandbox.requests()}
    expected = {uuid_of(Place(meta["id"], batch, lane)) for batch in range(4) for lane in range(2)}
    assert uuids == expected, spark.version
    assert numbers(sandbox) == list(range(1000))


@pytest.mark.long
def test_two_lanes_on_a_plan_of_sixty_calls_a_minute_are_never_told_to_wait(
    run_stream: Callable[..., None], sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.configure(plan="free")
    run_stream(batch_size="16", lanes="2", max_requests_per_minute="60")
    summary: dict[str, Any] = sandbox.summary()
    with capsys.disabled():
        print(f"\na plan of 60 calls a minute, two lanes: {summary}")  # noqa: T201 - the figures that it is run for
    assert numbers(sandbox) == list(range(1000))
    assert summary["requests"] > 60
    assert set(summary["answers"]) == {"202"}
