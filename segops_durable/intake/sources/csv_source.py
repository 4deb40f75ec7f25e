"""CSV: values between delimiters, under a header."""

from __future__ import annotations

import io
import re
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

from segops_durable.errors import ConfigurationError, ImportStoppedError
from segops_durable.intake.sources.bad_record import BadRecord
from segops_durable.intake.sources.csv_dialect import Dialect
from segops_durable.intake.sources.csv_fields import Fields
from segops_durable.intake.sources.csv_records import CsvRecords
from segops_durable.intake.sources.encodings import MARK
from segops_durable.intake.sources.file_options import FileOptions
from segops_durable.intake.sources.source import CHUNK_BYTES, Chunk, Record, Source, SourcePlace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from segops_durable.intake.sources.inputs import Input

_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_HEAD_LINES = 100
_OF_PLACES = ("encoding", "allow_incomplete", "storage_options")  # no matter how records are read
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""Excel's own first line, which names the delimiter."""


class Csv(Source):
    """Values between commas, semicolons, tabs, bars or what is given, under a header.

    Args:
        file: Where to read.
        options: How.
    """

    form = "csv"

    is_text = True

    def __init__(self, file: Input, options: FileOptions) -> None:
        super().__init__(file)
        self._options = options
        self._header: list[str] = []
        self._names: set[str] = set()

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Those of its header; None for a stream whose header is longer than its beginning."""
        if self.path is not None:
            with self._opened(0) as stream:
                found = self._header_of(CsvRecords(stream, self._dialect()))
            return (*found, *self.partitions)
        records = CsvRecords(io.BytesIO(self.file.head), self._dialect())
        found = self._header_of(records)
        is_there = records.offset < len(self.file.head) or records.is_ended
        return tuple(found) if is_there else None

    def describe(self) -> str:
        """CSV, and how it is written."""
        delimiter = self._delimiter()
        quote = {'"': "", "": ", no quotes"}.get(self._options.quote, f", {self._options.quote}")
        what = _NAMES.get(delimiter, f"{delimiter!r} between values")
        return f"CSV, {what}{quote}{self.encoding.describe()}{self.compression}"

    def chunks(self, start: SourcePlace) -> Iterator[Chunk]:
        """Yield rows, some thousand at a time."""
        with self._opened(0) as stream:
            records = CsvRecords(stream, self._dialect())
            self._header = self._header_of(records)
            self._check_header()
            records.columns = len(self._header)
            if self.path is None:  # it cannot be opened again
                self._pass(records, start)
            if records.offset >= start.offset:
                yield from self._chunks(records)
                return
        with self._opened(start.offset) as stream:
            at = (start.offset, start.line)
            yield from self._chunks(CsvRecords(stream, self._dialect(), len(self._header), *at))

    def chosen(self) -> dict[str, Any]:
        """The options that were given, and the encoding."""
        given = {
            name: value for name, value in vars(self._options).items() if name not in _OF_PLACES
        }
        defaults = vars(FileOptions())
        told = {name: value for name, value in given.items() if value != defaults[name]}
        return {**super().chosen(), **told}

    def dialect(self) -> dict[str, Any]:
        """Its header, and what is between and around its values."""
        written = {"header": self._header, "delimiter": self._delimiter()}
        return {**super().dialect(), **written, "quote": self._options.quote}

    def parse(self, record: Record) -> tuple[dict[str, Any], bool]:
        """Name a row's values."""
        row = record.value
        if isinstance(row, BadRecord):
            raise ValueError(f"no CSV: {row.reason}")  # noqa: TRY004 - of the text, not the type
        if row[0] in self._names and self._is_another_header(row):
            raise ValueError("a header with its columns in another order: see the rows after it")
        if len(row) != len(self._header):
            row = _trimmed(row, len(self._header))
            if len(row) != len(self._header):
                raise ValueError(f"{len(row)} columns, where the header has {len(self._header)}")
        return self._with_partitions(dict(zip(self._header, row, strict=True))), False

    def text(self, record: Record) -> str:
        """A record as it was."""
        return self.encoding.decode_anyhow(record.raw)

    def _chunks(self, records: CsvRecords) -> Iterator[Chunk]:
        found: list[Record] = []
        before = end = SourcePlace(records.offset, records.line)
        for row in records:
            if self._is_torn(row, records):
                self.is_incomplete = True  # somebody is writing it
                break
            end = SourcePlace(records.offset, records.line)
            if self._is_header(row):
                continue  # of another file, which was joined to this one
            found.append(Record(records.first_line, records.line, row, records.raw))
            if len(found) >= self.most_rows or records.offset - before.offset >= CHUNK_BYTES:
                yield Chunk(found, end)
                found, before = [], end
        if found or end.offset > before.offset:
            yield Chunk(found, end)

    def _is_torn(self, row: list[str] | BadRecord, records: CsvRecords) -> bool:
        """Whether a last record is not all there, in a file that may grow."""
        if records.is_ended or self.path is None or self.is_compressed:
            return False
        return isinstance(row, BadRecord) or len(row) < len(self._header)

    def _is_header(self, row: list[str] | BadRecord) -> bool:
        is_alike = not isinstance(row, BadRecord) and row[0] == self._header[0]
        return is_alike and _trimmed(list(row), len(self._header)) == self._header

    def _is_another_header(self, row: list[str]) -> bool:
        found = _trimmed(row, len(self._header))
        return found != self._header and sorted(found) == sorted(self._header)

    def _pass(self, records: CsvRecords, start: SourcePlace) -> None:
        """Read on to a place."""
        for _ in records if records.offset < start.offset else ():
            if records.offset >= start.offset:
                return
        if records.offset < start.offset:
            raise ImportStoppedError(
                f"{self.name} ends before the place that it was read to",
                file=self.name,
                hint="It is another file, or was cut",
            )

    def _header_of(self, records: CsvRecords) -> list[str]:
        """Read the header; an empty one where there is none yet."""
        for row in records:
            if isinstance(row, BadRecord):
                where = f"{self.name}, line {records.first_line}"
                raise ConfigurationError(
                    f"{where}: is the header, and no CSV: {row.reason}",
                    field="header",
                    hint="Mend it",
                )
            if not _SEPARATOR.fullmatch(self._text(records.raw)):
                header = _trimmed(row, 0)
                break
        else:
            return []
        return header

    def _check_header(self) -> None:
        self._names = set(self._header)
        if len(self._names) < len(self._header):
            twice = [name for name, count in Counter(self._header).items() if count > 1]
            raise ConfigurationError(
                f"{self.name} has more than one column {min(twice)!r}",
                field=min(twice),
                hint="Give each column a name of its own",
            )

    def _dialect(self) -> Dialect:
        return Dialect(
            self._delimiter(),
            self._options.quote or None,
            self.encoding,
            self._options.max_record_lines,
            self.longest_line,
        )

    def _delimiter(self) -> str:
        """The one that is given, or that the header and its first record have most of."""
        if self._options.delimiter is not None:
            return self._options.delimiter
        lines = [line for line in self._head_lines() if line.strip()]
        separator = _SEPARATOR.fullmatch(lines[0]) if lines else None
        if separator is not None:
            return separator[1]
        candidates = "\t,;|" if self.path and ".tsv" in self.path.name.lower() else ",;\t|"
        counts = {each: _counts(lines, each, self._options.quote) for each in candidates}
        fitting = [each for each in candidates if counts[each][0] == counts[each][1] > 1]
        return max(fitting or candidates, key=lambda each: counts[each][0])

    def _text(self, data: bytes) -> str:
        return self.encoding.decode_anyhow(data).removeprefix(MARK)

    def _head_lines(self) -> Sequence[str]:
        text = self._text(self.file.head)
        text = text.replace("\x85", "\n") if not self.encoding.is_utf8 else text
        return list(islice(io.StringIO(text, newline=""), _HEAD_LINES))


def _trimmed(row: list[str], least: int) -> list[str]:
    """Without the empty columns at its end."""
    count = len(row)
    while count > least and not row[count - 1]:
        count -= 1
    return row[:count]


def _counts(lines: Sequence[str], delimiter: str, quote: str) -> tuple[int, int]:
    """How many columns the header has, and its first record."""
    found = []
    fields = Fields(delimiter, quote or None)
    for line in lines:
        fields.feed(line)
        if not fields.is_open:
            found.append(len(_trimmed(fields.end(), 1)))
            fields = Fields(delimiter, quote or None)
    return (*found, 0, 0)[0], (*found, 0, 0)[1]
