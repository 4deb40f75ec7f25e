"""A source of records: read in chunks, from any place on.

After each chunk a source says where it is, in a value that can be stored; and from that it goes
on, in another process as well.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from segops_durable.intake.sources.encodings import Encoding
from segops_durable.intake.sources.lines import LONGEST_LINE
from segops_durable.intake.sources.remote_files import RemoteFile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import IO

    from segops_durable.intake.mapping.values import Nan
    from segops_durable.intake.sources.inputs import Input
    from segops_durable.intake.sources.showing import ShownRow

CHUNK_BYTES = 1 << 20
CHUNK_ROWS = 5000
_PREFIX_BYTES = 1 << 16
_TAIL_BYTES = 1 << 12


class SourcePlace(NamedTuple):
    """How far a source has been read.

    Attributes:
        offset: Bytes of the uncompressed text; of Parquet, rows.
        line: Lines of text; of Parquet, rows.
    """

    offset: int
    line: int


BEGINNING = SourcePlace(0, 0)


class Record(NamedTuple):
    """A record of a source, as it was read.

    Attributes:
        line: Its first line, from 1; of Parquet, its row.
        last_line: Its last line.
        value: What the source's `parse` takes.
        raw: Its very bytes in the uncompressed file; empty where there are none, as in Parquet.
            Of a record that is too long, the beginning.
    """

    line: int
    last_line: int
    value: Any
    raw: bytes


class Chunk(NamedTuple):
    """Some records of a source.

    Attributes:
        records: The records.
        end: The place after them.
    """

    records: list[Record]
    end: SourcePlace


class Source(ABC):
    """Records to import; `open_sources` opens them.

    Args:
        file: Where to read.

    Attributes:
        file: Where to read.
        path: The file, or None for a stream, e.g. standard input.
        directory: That it is a part of, which is imported as one, as it is shown.
        part: Its name within that; empty where there is none.
        part_key: What tells that part from others; empty where there is none.
        partitions: The columns that the names of its directories say, with their values.
        encoding: How its letters are written, if it is a text.
        form: Its format, as `open_source` takes it.
        most_rows: Records in a chunk at most.
        longest_line: Bytes of a line at most; a longer one is a bad record.
        is_incomplete: Whether its last line is not all there; it was left for another time.
        is_text: Whether what `parse` makes are texts, whatever they say, as in CSV.
    """

    form = ""
    is_text = False

    def __init__(self, file: Input) -> None:
        self.file = file
        self.path: Path | RemoteFile | None = file.path
        self.directory: str | None = None
        self.part = ""
        self.part_key = ""
        self.partitions: dict[str, str | None] = {}
        self.encoding: Encoding = Encoding("utf-8")
        self.most_rows = CHUNK_ROWS
        self.longest_line = LONGEST_LINE
        self.is_incomplete = False

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.file.name

    @property
    def is_compressed(self) -> bool:
        """Whether the file is read through what unpacks it."""
        return bool(self.file.layers)

    @property
    def compression(self) -> str:
        """How the file is compressed, in words; empty if it is not."""
        return "".join(f", {layer}" for layer in self.file.layers)

    @property
    def size(self) -> int | None:
        """Bytes of the file as it is; None where nobody knows."""
        return None if self.path is None else self.path.stat().st_size

    @property
    def consumed(self) -> int:
        """Bytes of the file that have been read, as it is: for a progress bar."""
        return self.file.consumed

    def key(self) -> str | None:
        """What tells this file from others on this machine; None for a stream."""
        if self.path is None:
            return None
        if isinstance(self.path, RemoteFile):
            return f"import:{self.path.key()}"
        found = self.path.stat()
        return f"import:{found.st_dev}:{found.st_ino}"

    def renew(self) -> None:
        """Look anew at a file that may be another by now; one on a disk is looked at each time."""
        if isinstance(self.path, RemoteFile):
            self.path.renew()

    def check_unchanged(self) -> None:
        """Refuse to store what was read of a file at a URL that was replaced meanwhile.

        Raises:
            ChangedFileError: It was.
        """
        if isinstance(self.path, RemoteFile):
            self.path.check_unchanged()

    def job(self, given: str | None) -> str | None:
        """The name that its place is found by: of a part its own, whatever its content."""
        if not self.part:
            return given
        return (
            f"part:{self.part_key}"
            if given is None
            else f"{given}/{quote(self.part, errors='surrogateescape')}"
        )

    def prefix(self, size: int | None = None) -> tuple[int, str]:
        """The size of the file's beginning, and a hash of it."""
        if self.path is None:
            return 0, ""
        with self.path.open("rb") as file:
            data = file.read(_PREFIX_BYTES if size is None else size)
        return len(data), hashlib.sha256(data).hexdigest()

    def tail(self, end: SourcePlace) -> str:
        """A hash of what was read last, which tells if a file has changed; empty if nothing can."""
        if self.path is None or self.is_compressed:
            return ""
        with self.path.open("rb") as file:
            file.seek(max(0, end.offset - _TAIL_BYTES))
            return hashlib.sha256(file.read(min(end.offset, _TAIL_BYTES))).hexdigest()

    @abstractmethod
    def chunks(self, start: SourcePlace) -> Iterator[Chunk]:
        """Yield the records after a place."""

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The names of its columns; None where only the records tell."""
        return None

    @abstractmethod
    def describe(self) -> str:
        """What it is taken for, in words: format, compression, and how it is read."""

    @abstractmethod
    def parse(self, record: Record) -> tuple[dict[str, Any], bool]:
        """Make a dict of a record; say whether it may be written as JSON unchecked.

        Raises:
            ValueError: It cannot be read; the message says why.
        """

    @property
    def read_many(self) -> Callable[[Sequence[bytes]], list[dict[str, Any] | None]] | None:
        """What does the work of `parse` for many records that are bytes, and gives None for some.

        None where there is more to do, or where their values are not JSON's.
        """
        return None

    def chosen(self) -> dict[str, Any]:
        """How somebody said that it is to be read: with other options it is another import."""
        return {} if self.encoding.is_utf8 else {"encoding": self.encoding.codec}

    def dialect(self) -> dict[str, Any]:
        """What a record needs beside its bytes to be read again: as JSON has it."""
        return {"partitions": self.partitions} if self.partitions else {}

    def row(self, record: Record, nan: Nan, texts: Collection[str]) -> ShownRow | None:  # noqa: ARG002 - of formats without a text
        """A record by its columns, to be mended, where it has no text; or else None.

        Args:
            record: The record.
            nan: What becomes of NaN.
            texts: The columns of which an event has the text.
        """
        return None

    def text(self, record: Record) -> str:
        """A record as text, to show what was rejected."""
        return record.raw.decode(errors="replace")

    def _opened(self, offset: int) -> AbstractContextManager[IO[bytes]]:
        """Open the file, uncompressed, at a place; a stream that was handed in stays open."""
        return self.file.opened(offset)

    def _with_partitions(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Add what the names of its directories say.

        Raises:
            ValueError: A column of the record has the name of one, and says otherwise.
        """
        for name, value in self.partitions.items():
            if name in fields and fields[name] is not None and str(fields[name]) != value:
                said = f"{name}={value}"
                raise ValueError(f"{name} is {fields[name]!r}, where its directory says {said}")
            fields[name] = value
        return fields
