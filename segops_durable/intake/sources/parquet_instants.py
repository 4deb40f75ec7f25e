"""Instants that Spark writes as INT96, its default: in UTC, though the column does not say so.

Arrow counts INT96 in nanoseconds, which end in 2262, and gives them no zone. Spark's own have
microseconds; where it means a time without a zone (``timestamp_ntz``) it writes no INT96. What
others write so may be local times, and stays without a zone.
"""

from __future__ import annotations

from typing import Any

from segops_durable.intake.sources.extras import pyarrow_module

_WRITER = b"org.apache.spark.version"


def reading_of(schema: Any) -> dict[str, Any]:  # noqa: ANN401 - of pyarrow
    """What a file of a schema is opened with, beside what holds for all."""
    return {"coerce_int96_timestamp_unit": "us"} if _is_of_spark(schema) else {}


def instants_of(file: Any) -> frozenset[str]:  # noqa: ANN401 - of pyarrow
    """The columns of a file in which there are such instants."""
    if not _is_of_spark(file.schema_arrow):
        return frozenset()
    leaves = (file.schema.column(place) for place in range(len(file.schema)))
    return frozenset(
        leaf.path.partition(".")[0] for leaf in leaves if leaf.physical_type == "INT96"
    )


def with_zone(batch: Any, names: frozenset[str]) -> Any:  # noqa: ANN401 - of pyarrow
    """A batch whose instants have the zone that they are in.

    Args:
        batch: The batch.
        names: The columns in which they are.
    """
    if not names:
        return batch
    columns = [
        column.cast(_zoned(column.type)) if name in names else column
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    arrow = pyarrow_module("pyarrow")
    return arrow.RecordBatch.from_arrays(columns, names=list(batch.schema.names))


def _is_of_spark(schema: Any) -> bool:  # noqa: ANN401 - of pyarrow
    return _WRITER in (schema.metadata or {})


def _zoned(kind: Any) -> Any:  # noqa: ANN401 - of pyarrow
    """A type in which each time has the zone UTC, however deep it is."""
    arrow = pyarrow_module("pyarrow")
    types = arrow.types
    if types.is_timestamp(kind):
        return arrow.timestamp(kind.unit, kind.tz or "UTC")
    if types.is_struct(kind):
        return arrow.struct([each.with_type(_zoned(each.type)) for each in kind])
    if types.is_map(kind):
        return arrow.map_(_zoned(kind.key_type), _zoned(kind.item_type))
    if types.is_list(kind):
        return arrow.list_(kind.value_field.with_type(_zoned(kind.value_type)))
    return kind
