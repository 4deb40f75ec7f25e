"""Rows of Parquet, bounded while they are read.

A small file can hold much: a text that is stored once, in a dictionary, and stands in every
row. Such columns are read with their dictionaries, and taken apart some rows at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segops_durable.intake.sources.bad_record import BadRecord
from segops_durable.intake.sources.extras import pyarrow_module
from segops_durable.intake.sources.parquet_values import rows_of
from segops_durable.intake.sources.remote_files import RemoteFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BATCH_BYTES = 64 << 20


def openable(path: Path | RemoteFile | None) -> Any:  # noqa: ANN401 - of pyarrow
    """What pyarrow opens a file by; it reads one at a URL through what was opened here."""
    return path.open() if isinstance(path, RemoteFile) else path


def texts_of(schema: Any) -> list[str]:  # noqa: ANN401 - of pyarrow
    """The columns of texts, or of bytes, which are read with their dictionaries."""
    return [each.name for each in schema if _is_text(each.type)]


def rows_at_once(group: Any, most_rows: int) -> int:  # noqa: ANN401 - of pyarrow
    """How many rows of a row group may be decoded at once, by their average size."""
    a_row = group.total_byte_size / max(1, group.num_rows)
    return max(1, min(most_rows, int(_BATCH_BYTES / max(1.0, a_row))))


def bounded_rows(
    batch: Any,  # noqa: ANN401 - of pyarrow
    start: int,
    longest: int,
) -> Iterator[tuple[int, list[Any]]]:
    """Yield rows of a batch, some at a time, with the number of rows up to there.

    Args:
        batch: The batch.
        start: Rows to pass over.
        longest: Bytes of texts in a row at most; a longer one is a `BadRecord`.
    """
    sizes = _sizes(batch)
    held, first = 0, start
    for place in range(start, len(sizes)):
        if sizes[place] > longest:
            if place > first:
                yield place, rows_of(batch.slice(first, place - first))
            reason = f"a row of {sizes[place]} bytes: {longest} are allowed"
            yield place + 1, [BadRecord(reason, "")]
            held, first = 0, place + 1
            continue
        held += sizes[place]
        if held >= _BATCH_BYTES:
            yield place + 1, rows_of(batch.slice(first, place + 1 - first))
            held, first = 0, place + 1
    if first < len(sizes):
        yield len(sizes), rows_of(batch.slice(first))


def _sizes(batch: Any) -> list[int]:  # noqa: ANN401 - of pyarrow
    """Bytes of the texts of each row."""
    compute = pyarrow_module("pyarrow.compute")
    total = None
    for column in batch.columns:
        values = getattr(column, "dictionary", column)
        if not _is_text(values.type):
            continue
        lengths = compute.cast(compute.binary_length(values), "int64")
        if values is not column:
            lengths = lengths.take(column.indices)
        lengths = compute.fill_null(lengths, 0)
        total = lengths if total is None else compute.add(total, lengths)
    return [0] * int(batch.num_rows) if total is None else list(total.to_pylist())


def _is_text(kind: Any) -> bool:  # noqa: ANN401 - of pyarrow
    types = pyarrow_module("pyarrow").types
    checks = (types.is_string, types.is_binary, types.is_large_string, types.is_large_binary)
    return any(is_it(kind) for is_it in checks)
