"""The rows of a spool: what Spark writes for each number, and the event that has to come of it."""

from __future__ import annotations

import sys
from datetime import date, datetime, timedelta, timezone
from typing import Any

_BEGINNING = datetime(2026, 1, 1, tzinfo=timezone.utc)
_FIRST_DAY = date(2026, 11, 1)
_USERS, _DAYS, _PARTS = 5000, 3, 8


def event_of(number: int) -> dict[str, Any]:
    """The event of a row."""
    return {
        "user_id": f"user-{number % _USERS}",
        "event_type": "order_placed",
        "occurred_at": (_BEGINNING + timedelta(milliseconds=number)).isoformat(),
        "payload": {
            "n": number,
            "total": number / 100,
            "order": {
                "currency": "EUR",
                "tags": ["a", "b"],
                "attributes": {"k": str(number)},
            },
            "day": (_FIRST_DAY + timedelta(days=number % _DAYS)).isoformat(),
        },
    }


def write(rows: int, directory: str) -> None:
    """Have Spark write the rows, as Parquet, partitioned by day."""
    from pyspark.sql import SparkSession  # noqa: PLC0415 - it is installed for this tool alone

    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "Asia/Kolkata",  # an instant is one, whatever the zone
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    frame = spark.range(0, rows, 1, _PARTS).selectExpr(
        f"concat('user-', id % {_USERS}) AS user_id",
        "'order_placed' AS event_type",
        f"timestamp_millis({int(_BEGINNING.timestamp() * 1000)} + id) AS occurred_at",
        "id AS n",
        "CAST(id / 100 AS DECIMAL(20, 2)) AS total",
        "struct('EUR' AS currency, array('a', 'b') AS tags, map('k', CAST(id AS STRING))"
        " AS attributes) AS order",
        f"date_add(DATE'{_FIRST_DAY}', CAST(id % {_DAYS} AS INT)) AS day",
    )
    frame.write.partitionBy("day").parquet(directory)
    spark.stop()


if __name__ == "__main__":
    write(int(sys.argv[1]), sys.argv[2])
