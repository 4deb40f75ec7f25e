"""A driver of Spark for the tests that kill it: writes a table, or runs a stream to its end.

``python -m support.spark_job '{"master": …, "home": …, "source": …, "options": {…}}'``
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from pyspark.sql import SparkSession

from segops_durable.spark import SegOpsDataSource, partitioned

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LIGHT = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""A JVM that lives for a minute is done before its second compiler has paid."""


def session_of(
    master: str, home: str | os.PathLike[str], more: Mapping[str, str] | None = None
) -> SparkSession:
    """A session that leaves nothing outside of a directory.

    Args:
        master: As Spark has it, e.g. ``local[2]``.
        home: The directory.
        more: Further settings.
    """
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(master)
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"{LIGHT} -Dderby.system.home={home}",
        "spark.executor.extraJavaOptions": LIGHT,
        "spark.executor.memory": "600m",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": f"{home}/warehouse",
        "spark.local.dir": f"{home}/local",
        **(more or {}),
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    session.dataSource.register(SegOpsDataSource)
    return session


def events_in(session: SparkSession, directory: Path, count: int, files: int = 4) -> None:
    """Write events as Parquet: of 100 users, with a number ``n`` in the payload of each."""
    session.range(0, count, 1, files).selectExpr(
        "concat('user-', id % 100) AS user_id",
        "'page_viewed' AS event_type",
        "timestamp_seconds(1764000000 + id) AS occurred_at",
        "id AS n",
    ).write.parquet(str(directory))


def carry_out(session: SparkSession, job: Mapping[str, Any]) -> None:
    """Write a table, or run a stream to its end; what was killed goes on, whoever carries it out.

    Args:
        session: Of any driver.
        job: ``source`` is a directory of Parquet, ``options`` are those of the data source; with
            a ``checkpoint`` it is a stream of the source's files, one to a micro-batch.
    """
    rows = session.read.parquet(job["source"])
    if job.get("checkpoint") is None:
        writer = partitioned(rows, 2).write.format("segops").mode("append")
        for name, value in job["options"].items():
            writer = writer.option(name, value)
        writer.save()
        return
    stream = session.readStream.schema(rows.schema).option("maxFilesPerTrigger", 1)
    query = partitioned(stream.parquet(job["source"]), 2).writeStream.format("segops")
    for name, value in job["options"].items():
        query = query.option(name, value)
    query = query.option("checkpointLocation", job["checkpoint"])
    query.trigger(availableNow=True).start().awaitTermination()


def main(job: dict[str, Any]) -> None:
    """Do what is asked for, as a driver of its own."""
    session = session_of(job["master"], job["home"], job.get("settings"))
    carry_out(session, job)
    session.stop()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
