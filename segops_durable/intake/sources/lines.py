"""Lines of files that anybody may have written: bounded while they are read.

A few MiB of ``.gz`` can hold a line of many GiB, and after a power cut a file may have a
hole of zeros. Such a line is no event; it is passed over without being held in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from segops_durable.intake.sources.encodings import Readable

LONGEST_LINE = 4 << 20
"""Bytes of a line at most, unless an event may have as many."""

SHOWN_BYTES = 1 << 10
"""Bytes that are kept of a record that is too long."""


class Line(NamedTuple):
    """A line of a file.

    Attributes:
        data: Its bytes, the end of the line included; of one that is too long, the beginning.
        size: Bytes that it has in the file.
        is_whole: Whether `data` is all of it.
        is_ended: Whether it has an end; the last one of a file may have none.
    """

    data: bytes
    size: int
    is_whole: bool
    is_ended: bool


def longest_line(largest_event: int) -> int:
    """Bytes that a line may have where an event may have so many: with room for escapes."""
    return max(LONGEST_LINE, 4 * largest_event)


def bounded_lines(stream: Readable, longest: int, newline: bytes = b"\n") -> Iterator[Line]:
    """Yield the lines of a stream; of one that is longer than that only its beginning."""
    while data := stream.readline(longest + len(newline)):
        yield line_of(data, stream, longest, newline)


def line_of(data: bytes, stream: Readable, longest: int, newline: bytes) -> Line:
    """The line that begins so; of one that is longer than that the rest is passed over.

    Args:
        data: So many bytes of it, and those of its end, or all that there are.
        stream: Where the rest is.
        longest: Bytes that it may have.
        newline: What ends it.
    """
    is_ended = data.endswith(newline)
    if is_ended or len(data) <= longest:
        return Line(data, len(data), is_whole=True, is_ended=is_ended)
    size, start = len(data), data[:SHOWN_BYTES]
    while not is_ended and (data := stream.readline(longest)):
        size += len(data)
        is_ended = data.endswith(newline)
    return Line(start, size, is_whole=False, is_ended=is_ended)


def pages(lines: Iterable[Line], rows: int, size: int) -> Iterator[list[Line]]:
    """Group lines, so many and so many bytes at a time."""
    page: list[Line] = []
    held = 0
    for line in lines:
        page.append(line)
        held += len(line.data)
        if len(page) >= rows or held >= size:
            yield page
            page, held = [], 0
    if page:
        yield page
