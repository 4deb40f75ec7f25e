"""All files of the corpus."""

from __future__ import annotations

from support.corpus import (
    containers,
    csv_columns,
    csv_quotes,
    csv_shapes,
    encodings,
    json_lines,
    parquet_files,
    times,
    values,
)

CASES = (
    *csv_shapes.CASES,
    *csv_columns.CASES,
    *csv_quotes.CASES,
    *encodings.CASES,
    *values.CASES,
    *times.CASES,
    *json_lines.CASES,
    *parquet_files.CASES,
    *containers.CASES,
)
