"""JSON Lines: an object a line."""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Any

from segops_durable.intake.sources.encodings import MARK
from segops_durable.intake.sources.json_objects import read_object
from segops_durable.intake.sources.lines import Line, bounded_lines, pages
from segops_durable.intake.sources.source import CHUNK_BYTES, Chunk, Record, Source, SourcePlace

if TYPE_CHECKING:
    from collections.abc import Iterator


class JsonLines(Source):
    """A JSON object a line; empty lines are passed over."""

    form = "jsonl"

    def chunks(self, start: SourcePlace) -> Iterator[Chunk]:
        """Yield lines, about a mebibyte at a time."""
        offset, number = start[:2]
        with self._opened(offset) as stream:
            newline = self.encoding.newline
            lines = bounded_lines(self.encoding.lines(stream), self.longest_line, newline)
            for page in pages(lines, self.most_rows, CHUNK_BYTES):
                if not page[-1].is_ended and self._is_torn(page[-1]):
                    self.is_incomplete = True  # somebody is writing it
                    page.pop()
                records = [
                    Record(place, place, line.data if line.is_whole else line, line.data)
                    for place, line in enumerate(page, start=number + 1)
                    if line.data[:1] == b"{" or not self._is_blank(line.data)
                ]
                offset += sum(line.size for line in page)
                number += len(page)
                if page:
                    yield Chunk(records, SourcePlace(offset, number))
                if self.is_incomplete:
                    return  # its writer may go on meanwhile: the rest of the line is no line

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
