"""JSON Lines: an object a line."""

from __future__ import annotations

from codecs import BOM_UTF8
from functools import partial
from typing import TYPE_CHECKING, Any

from segops_durable.intake.sources.encodings import MARK
from segops_durable.intake.sources.json_objects import read_object, read_objects
from segops_durable.intake.sources.lines import Line, line_of
from segops_durable.intake.sources.source import CHUNK_BYTES, Chunk, Record, Source, SourcePlace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from segops_durable.intake.sources.encodings import Readable

_new = tuple.__new__  # what a named tuple calls, in a frame of its own


class JsonLines(Source):
    """A JSON object a line; empty lines are passed over."""

    form = "jsonl"

    def chunks(self, start: SourcePlace) -> Iterator[Chunk]:
        """Yield lines, about a mebibyte at a time."""
        offset, number = start[:2]
        self.is_incomplete: bool = False  # what another look at it has found may be written by now
        with self._opened(offset) as stream:
            lines = self.encoding.lines(stream)
            while not self.is_incomplete:  # or its writer may go on meanwhile, with half a line
                records, size, count = self._next(lines, number)
                if not count:
                    return
                offset += size
                number += count
                yield Chunk(records, SourcePlace(offset, number))

    def _next(self, lines: Readable, before: int) -> tuple[list[Record], int, int]:
        """Read a chunk: its records, and how many bytes and lines it has."""
        newline, longest = self.encoding.newline, self.longest_line
        readline = partial(lines.readline, longest + len(newline))
        records: list[Record] = []
        number, size, held = before, 0, 0
        while number < before + self.most_rows and held < CHUNK_BYTES and (data := readline()):
            value: bytes | Line = data
            if data.endswith(newline):
                size += len(data)
            else:
                line = line_of(data, lines, longest, newline)
                if not line.is_ended and self._is_torn(line):
                    self.is_incomplete = True  # somebody is writing it
                    break
                size += line.size
                data = line.data
                value = data if line.is_whole else line
            number += 1
            held += len(data)
            if data[:1] == b"{" or not self._is_blank(data):
                records.append(_new(Record, (number, number, value, data)))
        return records, size, number - before

    def describe(self) -> str:
        """JSON Lines."""
        return f"JSON Lines{self.encoding.describe()}{self.compression}"

    def parse(self, record: Record) -> tuple[dict[str, Any], bool]:
        """Read a line."""
        if isinstance(record.value, Line):
            size = record.value.size
            raise ValueError(f"a line of {size} bytes: {self.longest_line} are allowed")  # noqa: TRY004 - of the text, not the type
        fields, is_safe = read_object(self._as_utf8(record.value))
        return (self._with_partitions(fields) if self.partitions else fields), is_safe

    @property
    def read_many(self) -> Callable[[Sequence[bytes]], list[dict[str, Any] | None]] | None:
        """`read_objects`, of lines in UTF-8 that are all that is known of their records."""
        return read_objects if self.encoding.is_utf8 and not self.partitions else None

    def text(self, record: Record) -> str:
        """A line as it was."""
        return self.encoding.decode_anyhow(record.raw)

    def _as_utf8(self, data: bytes) -> bytes:
        """What JSON is read from, without a byte order mark: of files that were joined."""
        if not self.encoding.is_utf8:
            data = self.encoding.decode(data).encode(errors="surrogatepass")
        return data.removeprefix(BOM_UTF8)

    def _is_blank(self, data: bytes) -> bool:
        return not self.encoding.decode_anyhow(data).removeprefix(MARK).strip()

    def _is_torn(self, line: Line) -> bool:
        """Whether a last line is not all there, in a file that may grow."""
        if self.is_compressed or (line.is_whole and self._is_blank(line.data)):
            return False
        if not line.is_whole:
            return True
        try:
            read_object(self._as_utf8(line.data))
        except (ValueError, RecursionError):
            return True
        return False
