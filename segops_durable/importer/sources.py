"""Files of records: JSON Lines, CSV and Parquet, plain or compressed, read from any place on.

A source is read in chunks. After each it says where it is, in a value that can be stored; and
from that it goes on, in another process as well.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib
import io
import os
import re
from abc import ABC, abstractmethod
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from segops_durable.errors import ConfigurationError, ImportStoppedError
from segops_durable.importer.reading import read_object

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS = ("jsonl", "csv", "parquet")
_BY_SUFFIX = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
_GZIP, _ZSTD = {".gz"}, {".zst", ".zstd"}
_ETL_EXTRA = 'needs: pip install "segops-durable[etl]"'
_CHUNK_BYTES = 1 << 20
_CHUNK_ROWS = 5000
_PREFIX_BYTES = 1 << 16
_TAIL_BYTES = 1 << 12
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_LONGEST_NUMBER = 40


class Place(NamedTuple):
    """How far a source has been read.

    Attributes:
        offset: Bytes of the uncompressed text; of Parquet, rows.
        line: Lines of text; of Parquet, rows.
    """

    offset: int
    line: int


class Chunk(NamedTuple):
    """Some records of a source.

    Attributes:
        records: The number of its line, or row, and the record, as it was read.
        end: The place after them.
    """

    records: list[tuple[int, Any]]
    end: Place


class Source(ABC):
    """Records to import.

    Args:
        path: The file; None for a stream, e.g. standard input.
        stream: Where to read if there is no path.

    Attributes:
        path: The file, or None.
        most_rows: Records in a chunk at most.
        is_incomplete: Whether its last line is not all there; it was left for another time.
    """

    def __init__(self, path: Path | None, stream: IO[bytes] | None = None) -> None:
        self.path = path
        self.most_rows = _CHUNK_ROWS
        self.is_incomplete = False
        self._given = stream
        self._raw: IO[bytes] | None = None

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return "standard input" if self.path is None else str(self.path)

    @property
    def is_compressed(self) -> bool:
        """Whether the file is read through gzip or zstd."""
        return self.path is not None and self.path.suffix in _GZIP | _ZSTD

    @property
    def size(self) -> int | None:
        """Bytes of the file as it is; None where nobody knows."""
        return None if self.path is None else self.path.stat().st_size

    @property
    def consumed(self) -> int:
        """Bytes of the file that have been read, as it is: for a progress bar."""
        return 0 if self._raw is None or self._raw.closed else self._raw.tell()

    def key(self) -> str | None:
        """What tells this file from others on this machine; None for a stream."""
        if self.path is None:
            return None
        found = self.path.stat()
        return f"import:{found.st_dev}:{found.st_ino}"

    def prefix(self, size: int | None = None) -> tuple[int, str]:
        """The size of the file's beginning, and a hash of it."""
        if self.path is None:
            return 0, ""
        with self.path.open("rb") as file:
            data = file.read(_PREFIX_BYTES if size is None else size)
        return len(data), hashlib.sha256(data).hexdigest()

    @abstractmethod
    def chunks(self, start: Place) -> Iterator[Chunk]:
        """Yield the records after a place."""

    @abstractmethod
    def parse(self, record: Any) -> tuple[dict[str, Any], bool]:  # noqa: ANN401 - what `chunks` yields
        """Make a dict of a record; say whether it may be written as JSON unchecked.

        Raises:
            ValueError: It cannot be read; the message says why.
        """

    def text(self, record: Any) -> str:  # noqa: ANN401 - what `chunks` yields
        """A record as text, to show what was rejected."""
        return record.decode(errors="replace") if isinstance(record, bytes) else str(record)

    @contextmanager
    def _opened(self, offset: int) -> Iterator[IO[bytes]]:
        """Open the file, uncompressed, at a place; a stream that was handed in stays open."""
        with ExitStack() as opened:
            stream = self._given if self.path is None else self._open(self.path, opened)
            if stream is None:  # pragma: no cover - a source has one or the other
                raise ConfigurationError("there is nothing to read", field="source")
            if stream is self._raw:
                stream.seek(offset)
            else:
                self._skip(stream, offset)
            yield stream

    def _open(self, path: Path, opened: ExitStack) -> IO[bytes]:
        self._raw = opened.enter_context(path.open("rb"))
        if path.suffix in _GZIP:
            plain = cast("IO[bytes]", gzip.open(self._raw))  # noqa: SIM115 - closed with the others
            return opened.enter_context(plain)
        if path.suffix in _ZSTD:
            pyarrow = _pyarrow("pyarrow")
            plain = io.BufferedReader(pyarrow.CompressedInputStream(self._raw, "zstd"))
            return opened.enter_context(plain)
        return self._raw

    def _skip(self, stream: IO[bytes], count: int) -> None:
        while count:
            data = stream.read(min(count, _CHUNK_BYTES))
            if not data:
                raise ImportStoppedError(
                    f"{self.name} ends before the place that it was read to",
                    file=self.name,
                    hint="It is another file, or was cut",
                )
            count -= len(data)


class JsonLines(Source):
    """A JSON object a line; empty lines are passed over."""

    def chunks(self, start: Place) -> Iterator[Chunk]:
        """Yield lines, about a mebibyte at a time."""
        offset, line = start
        with self._opened(offset) as stream:
            while lines := stream.readlines(_CHUNK_BYTES):
                if not lines[-1].endswith(b"\n") and not _is_whole(lines[-1]):
                    self.is_incomplete = True  # somebody is writing it
                    lines.pop()
                for first in range(0, len(lines), self.most_rows):
                    some = lines[first : first + self.most_rows]
                    numbered = list(enumerate(some, start=line + 1))
                    offset += sum(map(len, some))
                    line += len(some)
                    records = [each for each in numbered if not each[1].isspace()]
                    yield Chunk(records, Place(offset, line))
                if self.is_incomplete:
                    return  # what comes now would be the rest of that line

    def parse(self, record: bytes) -> tuple[dict[str, Any], bool]:
        """Read a line."""
        return read_object(record)


class Csv(Source):
    """Comma-separated values with a header; or tabs, in a file that is called ``.tsv``.

    Values are typed as JSON would: numbers, true, false; an empty one is null. A number with
    leading zeros is a text. With `is_text` all of them are.
    """

    def __init__(
        self, path: Path | None, stream: IO[bytes] | None = None, *, is_text: bool = False
    ) -> None:
        super().__init__(path, stream)
        self._is_text = is_text
        self._offset = self._line = 0
        self._header: list[str] = []

    def chunks(self, start: Place) -> Iterator[Chunk]:
        """Yield rows, some thousand at a time."""
        self._offset = self._line = 0
        with self._opened(0) as stream:
            rows = self._rows(stream)
            self._header = next(rows, [])
            self._check_header()
            if self.path is None and start.offset > self._offset:  # it cannot be opened again
                self._skip(stream, start.offset - self._offset)
                self._offset, self._line = start
                rows = self._rows(stream)
            if start.offset <= self._offset:
                yield from self._chunks(rows)
                return
        self._offset, self._line = start
        with self._opened(start.offset) as stream:
            yield from self._chunks(self._rows(stream))

    def _chunks(self, rows: Iterator[list[str]]) -> Iterator[Chunk]:
        records: list[tuple[int, Any]] = []
        before = self._offset
        while (row := self._next(rows)) is not None:
            if row:
                records.append((self._line, row))
            if len(records) >= self.most_rows or self._offset - before >= _CHUNK_BYTES:
                yield Chunk(records, Place(self._offset, self._line))
                records, before = [], self._offset
        yield Chunk(records, Place(self._offset, self._line))

    def parse(self, record: list[str] | csv.Error) -> tuple[dict[str, Any], bool]:
        """Name a row's values, and type them."""
        if isinstance(record, csv.Error):
            raise ValueError(f"no CSV: {record}") from record  # noqa: TRY004 - of the text, not the type
        if len(record) != len(self._header):
            raise ValueError(f"{len(record)} columns, where the header has {len(self._header)}")
        values = record if self._is_text else map(_typed, record)
        return dict(zip(self._header, values, strict=True)), False

    def text(self, record: list[str] | csv.Error) -> str:
        """A row as it was, but for its quotes."""
        if isinstance(record, csv.Error):
            return ""
        text = io.StringIO()
        csv.writer(text).writerow(record)
        return text.getvalue()

    def _next(self, rows: Iterator[list[str]]) -> list[str] | csv.Error | None:
        try:
            return next(rows, None)
        except csv.Error as error:
            return error

    def _rows(self, stream: IO[bytes]) -> Iterator[list[str]]:
        is_tabs = self.path is not None and ".tsv" in self.path.suffixes
        return csv.reader(self._decoded(stream), delimiter="\t" if is_tabs else ",", strict=True)

    def _decoded(self, stream: IO[bytes]) -> Iterator[str]:
        """Yield lines, and keep count of their bytes: the reader does not read ahead."""
        for line in stream:
            text = line.decode("utf-8-sig" if not self._offset else "utf-8", "surrogateescape")
            self._offset += len(line)
            self._line += 1
            yield text

    def _check_header(self) -> None:
        twice = {name for name in self._header if self._header.count(name) > 1}
        if twice:
            raise ImportStoppedError(
                f"{self.name} has more than one column {min(twice)!r}",
                file=self.name,
                hint="Give each column a name of its own",
            )


class Parquet(Source):
    """Rows of a Parquet file."""

    _share = 0.0

    def chunks(self, start: Place) -> Iterator[Chunk]:
        """Yield rows, some thousand at a time; row groups before the place are not read."""
        parquet = _pyarrow("pyarrow.parquet")
        with parquet.ParquetFile(self.path) as file:
            first = 0
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                if first + count > start.offset:
                    yield from self._rows(file, group, first, start.offset)
                first += count

    @property
    def consumed(self) -> int:
        """Bytes, as if all rows were of one size."""
        return int(self._share * (self.size or 0))

    def parse(self, record: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """Copy a row, which is used up."""
        return dict(record), False

    def _rows(self, file: Any, group: int, first: int, start: int) -> Iterator[Chunk]:  # noqa: ANN401 - of pyarrow
        for batch in file.iter_batches(batch_size=self.most_rows, row_groups=[group]):
            last = first + batch.num_rows
            if last > start:
                skipped = max(0, start - first)
                rows = batch.slice(skipped).to_pylist()
                self._share = last / max(1, file.metadata.num_rows)
                yield Chunk(list(enumerate(rows, first + skipped + 1)), Place(last, last))
            first = last


def open_source(
    source: str | os.PathLike[str] | IO[bytes], form: str | None = None, *, is_text: bool = False
) -> Source:
    """Make a source of a file's path, or of a stream of bytes.

    Args:
        source: The path, or the stream.
        form: ``jsonl``, ``csv`` or ``parquet``. Defaults to what the name says, and for a
            stream to ``jsonl``.
        is_text: Leave the values of CSV as they are.

    Raises:
        ConfigurationError: The format is unknown, or cannot be read from a stream.
    """
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    stream = None if isinstance(source, str | os.PathLike) else source
    found = form or ("jsonl" if path is None else _format_of(path))
    if found == "jsonl":
        return JsonLines(path, stream)
    if found == "csv":
        return Csv(path, stream, is_text=is_text)
    if found == "parquet" and path is not None:
        return Parquet(path)
    if found == "parquet":
        raise ConfigurationError("format parquet needs a file, not a stream", field="format")
    raise ConfigurationError(
        f"format must be one of {', '.join(FORMATS)}, got {found!r}", field="format"
    )


def tail_of(source: Source, end: Place) -> str:
    """A hash of what was read last, which tells if a file has changed; empty if nothing can."""
    if source.path is None or source.is_compressed or isinstance(source, Parquet):
        return ""
    with source.path.open("rb") as file:
        file.seek(max(0, end.offset - _TAIL_BYTES))
        return hashlib.sha256(file.read(min(end.offset, _TAIL_BYTES))).hexdigest()


def _format_of(path: Path) -> str:
    for suffix in reversed(path.suffixes):
        if suffix.lower() in _BY_SUFFIX:
            return _BY_SUFFIX[suffix.lower()]
    raise ConfigurationError(
        f"the name of {path} does not say its format",
        field="format",
        hint=f"Say which: {', '.join(FORMATS)}",
    )


def _is_whole(line: bytes) -> bool:
    try:
        read_object(line)
    except (ValueError, RecursionError):
        return False
    return True


def _typed(text: str) -> object:
    """A value as JSON would have it."""
    if not text:
        return None
    if text[0] in "-0123456789" and len(text) <= _LONGEST_NUMBER:
        match = _NUMBER.fullmatch(text)
        if match is not None:
            return float(text) if match[2] or match[3] else int(text)
    return {"true": True, "false": False}.get(text.lower(), text) if text[0] in "tTfF" else text


def _pyarrow(module: str) -> Any:  # noqa: ANN401 - a module
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise ConfigurationError(f"this file {_ETL_EXTRA}", field="format") from None
