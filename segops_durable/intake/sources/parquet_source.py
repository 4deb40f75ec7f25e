"""Parquet: rows of typed columns, in row groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segops_durable.intake.sources.bad_record import BadRecord
from segops_durable.intake.sources.extras import pyarrow_module
from segops_durable.intake.sources.parquet_instants import instants_of, reading_of, with_zone
from segops_durable.intake.sources.parquet_rows import (
    bounded_rows,
    openable,
    rows_at_once,
    texts_of,
)
from segops_durable.intake.sources.parquet_values import BadRow
from segops_durable.intake.sources.showing import ShownRow, shown_row
from segops_durable.intake.sources.source import Chunk, Record, Source, SourcePlace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from segops_durable.intake.mapping.values import Nan


class Parquet(Source):
    """Rows of a Parquet file."""

    form = "parquet"

    _share = 0.0

    def chunks(self, start: SourcePlace) -> Iterator[Chunk]:
        """Yield rows, some thousand at a time; row groups before the place are not read."""
        if self.path is None:  # pragma: no cover - `open_source` has refused it
            return
        parquet = pyarrow_module("pyarrow.parquet")
        schema = parquet.read_schema(openable(self.path))
        opened, given = openable(self.path), reading_of(schema)
        with parquet.ParquetFile(opened, read_dictionary=texts_of(schema), **given) as file:
            instants = instants_of(file)
            first = 0
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                if first + count > start.offset:
                    yield from self._rows(file, group, first, start.offset, instants)
                first += count

    @property
    def consumed(self) -> int:
        """Bytes, as if all rows were of one size."""
        return int(self._share * (self.size or 0))

    def tail(self, end: SourcePlace) -> str:  # noqa: ARG002 - of a text only
        """Nothing: a place is a row, not a byte."""
        return ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of its schema."""
        schema = pyarrow_module("pyarrow.parquet").read_schema(openable(self.path))
        return (*(str(name) for name in schema.names), *self.partitions)

    def describe(self) -> str:
        """Parquet."""
        return "Parquet"

    def parse(self, record: Record) -> tuple[dict[str, Any], bool]:
        """Copy a row, which is used up."""
        if isinstance(record.value, BadRow | BadRecord):
            raise ValueError(record.value.reason)  # noqa: TRY004 - of the row, not the type
        return self._with_partitions(dict(record.value)), False

    def row(self, record: Record, nan: Nan, texts: Collection[str]) -> ShownRow | None:
        """A row as JSON has it; None if it is too long to be kept."""
        value = record.value
        if isinstance(value, BadRecord):
            return None
        return shown_row(value.values if isinstance(value, BadRow) else value, nan, texts)

    def _rows(
        self,
        file: Any,  # noqa: ANN401 - of pyarrow
        group: int,
        first: int,
        start: int,
        instants: frozenset[str],
    ) -> Iterator[Chunk]:
        rows = rows_at_once(file.metadata.row_group(group), self.most_rows)
        for batch in file.iter_batches(batch_size=rows, row_groups=[group]):
            last = first + batch.num_rows
            skipped = max(0, start - first)
            for end, records in bounded_rows(
                with_zone(batch, instants), skipped, self.longest_line
            ):
                place = first + end
                self._share = place / max(1, file.metadata.num_rows)
                number = place - len(records) + 1
                found = [Record(row, row, each, b"") for row, each in enumerate(records, number)]
                yield Chunk(found, SourcePlace(place, place))
            first = last
