"""What is refused before anything runs."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import types

from segops_durable import ConfigurationError
from segops_durable.spark import SegOpsDataSource, partitioned

URL = {"api_url": "https://api.segops.ai"}
COLUMNS: dict[str, types.DataType] = {
    "user_id": types.StringType(),
    "event_type": types.StringType(),
    "occurred_at": types.TimestampType(),
}


def schema_of(columns: dict[str, types.DataType | None]) -> types.StructType:
    return types.StructType(
        [types.StructField(name, kind) for name, kind in columns.items() if kind is not None]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"api_url": "ftp://x"}, "api_url"),
        ({"api_key": "sk_secret_1234"}, "api_key must not be an option"),
        ({"max_error": "3"}, "there is no option 'max_error'"),
        ({"batch_size": "501"}, "batch_size must be an integer from 1 to 500"),
        ({"batch_size": "many"}, "batch_size must be a number, got 'many'"),
        ({"allow_insecure": "perhaps"}, "allow_insecure must be true or false"),
        ({"scratch": "here"}, "scratch must be the absolute path"),
        ({"drain_timeout": "0"}, "drain_timeout must be above 0"),
        ({"lanes": "0"}, "lanes must be at least 1"),
        ({"max_errors": "-1"}, "max_errors must be at least 0"),
        ({"max_errors": "5"}, "max_errors must be 0 without dead_letters"),
        ({"max_requests_per_minute": "60"}, "lanes must be 1 to 60"),
        ({"max_requests_per_minute": "60", "lanes": "61"}, "lanes must be 1 to 60"),
        ({"type": "page"}, "kind must be"),
        ({"map.user_id": "uid"}, "there is no column 'uid'"),
        ({"map.colour": "uid"}, "columns must be of user_id"),
        ({"const.occurred_at": "2026-01-01T00:00:00Z", "map.occurred_at": "x"}, "both a column"),
    ],
)
def test_an_option_that_cannot_be_is_refused_and_named(
    options: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        SegOpsDataSource({**URL, **options}).writer(schema_of({**COLUMNS}), overwrite=False)
    assert "secret_1234" not in str(caught.value)


def test_an_address_is_required() -> None:
    with pytest.raises(ConfigurationError, match="api_url is required"):
        SegOpsDataSource({}).writer(schema_of({**COLUMNS}), overwrite=False)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user_id": None}, "there is no column for user_id"),
        ({"occurred_at": None}, r"for occurred_at.*current_timestamp\(\)"),
        ({"user_id": types.DoubleType()}, "'user_id' is double, and user_id is a text"),
        ({"event_type": types.BooleanType()}, "'event_type' is boolean"),
        ({"occurred_at": types.BooleanType()}, "'occurred_at' is boolean, and occurred_at is a"),
        ({"occurred_at": types.TimestampNTZType()}, "has no time zone. Say time_zone"),
        ({"occurred_at": types.DateType()}, "has no time zone"),
        ({"payload": types.LongType()}, "payload is a struct, a map or JSON of one"),
        ({"lasted": types.DayTimeIntervalType()}, "'lasted' is interval day to second, which JSON"),
        ({"by": types.MapType(types.LongType(), types.LongType())}, "whose keys are no texts"),
        (
            {
                "in": types.ArrayType(
                    types.StructType([types.StructField("x", types.CalendarIntervalType())])
                )
            },
            "'in.x' is interval",
        ),
        ({"payload.n": types.LongType(), "n": types.LongType()}, "are both the entry 'n'"),
    ],
)
def test_a_column_that_cannot_be_is_refused_and_named(
    columns: dict[str, types.DataType | None], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SegOpsDataSource(URL).writer(schema_of({**COLUMNS, **columns}), overwrite=False)


def test_nothing_is_written_over_and_nothing_is_read() -> None:
    with pytest.raises(ConfigurationError, match="mode must be append"):
        SegOpsDataSource(URL).streamWriter(schema_of({**COLUMNS}), overwrite=True)
    with pytest.raises(ConfigurationError, match="can be written to only"):
        SegOpsDataSource(URL).schema()


def test_rows_are_partitioned_by_a_column_that_there_is(spark: Any) -> None:
    rows = spark.range(10).withColumnRenamed("id", "the.user")
    assert partitioned(rows, 3, "the.user").rdd.getNumPartitions() == 3
    with pytest.raises(ConfigurationError, match=r"by must be a column, 'the.user', got 'user_id'"):
        partitioned(rows, 3)
    with pytest.raises(ConfigurationError, match="lanes must be at least 1, got 0"):
        partitioned(rows, 0, "the.user")
