"""Rows that are in the same partition at each attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.errors import ConfigurationError
from segops_durable.errors.plain_text import shown

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def partitioned(df: DataFrame, lanes: int, by: str = "user_id") -> DataFrame:
    """Partition rows for a write to SegOps: by user, and so the same way at each attempt.

    Args:
        df: The rows; of a stream, too.
        lanes: Partitions, each of which sends beside the others; the option ``lanes`` is this
            number.
        by: The column with the user. Defaults to ``user_id``.

    Raises:
        ConfigurationError: `lanes` is no number above 0, or there is no such column.
    """
    if type(lanes) is not int or lanes < 1:
        raise ConfigurationError(f"lanes must be at least 1, got {shown(lanes)}", field="lanes")
    if by not in df.columns:
        names = ", ".join(map(repr, df.columns))
        problem = f"by must be a column, {names}, got {shown(by)}"
        raise ConfigurationError(problem, field="by")
    quoted = "`" + by.replace("`", "``") + "`"  # else a dot in it would be a field of a struct
    return df.repartition(lanes, quoted)
