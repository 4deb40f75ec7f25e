"""The pages of an outbox as its last commit left them, and the records on them.

The newest version of a page is what its log has. Where that one is damaged, the version
before it is read as well, but apart: rows that it alone has may have been sent since.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from segops_durable.outbox.disk.header import stated_page_size
from segops_durable.outbox.disk.log import PAGE_SIZE, read_log
from segops_durable.outbox.disk.records import as_varint, layout, signed, values, varint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from segops_durable.outbox.disk.records import Value

TABLE_LEAF, INDEX_LEAF, INDEX_INTERIOR = 0x0D, 0x0A, 0x02
_HEADER_BYTES = {TABLE_LEAF: 8, INDEX_LEAF: 8, INDEX_INTERIOR: 12}
_FIRST_PAGE_HEADER = 100
_LEAST_CELL = 4
_POINTER = 4
_LARGEST_ID_BYTES = 9
_PAGE_SIZES = (4096, 1024, 8192, 16384, 32768, 65536, 2048, 512)
"""All that SQLite has."""

_MOST_TRIED = 200
_SURELY = 0.25  # of the pages: by another size hardly one of them is sound
_MAYBE_A_ROW = re.compile(rb"(?=[\x03-\x20]\x00)")


class Record(NamedTuple):
    """A record that was found.

    Attributes:
        kind: Of a table's row (`TABLE_LEAF`), or of an index.
        row_id: The row's id; None where that cannot be read, or there is none.
        values: Its columns.
        is_current: Whether it was certainly there at the last commit.
    """

    kind: int
    row_id: int | None
    values: tuple[Value, ...]
    is_current: bool


class _Place(NamedTuple):
    """Where a cell's record is.

    Attributes:
        row_id: As in `Record`.
        start: Where the record begins in the page.
        size: Its bytes.
        local: How many of them are on the page itself.
        taken: How many bytes of the page the cell takes.
    """

    row_id: int | None
    start: int
    size: int
    local: int
    taken: int


class Pages:
    """Reads the pages of an outbox file with its log over them.

    Args:
        file: The open file.
        log: The bytes of its log; empty if there is none.
    """

    def __init__(self, file: BinaryIO, log: bytes = b"") -> None:
        self._file = file
        self._log = read_log(log)
        self._bytes = file.seek(0, os.SEEK_END)
        self._page_size = self._log.page_size if self._log.frames else self._found_page_size()
        self._newest: dict[int, bytes] = {}
        self._older: list[tuple[int, bytes]] = []  # and pages of which it is not known which
        self._overlay()
        self._count = self._counted()

    def records(self) -> Iterator[Record]:
        """Yield all records that can be read, from all pages."""
        for number in self._numbers():
            for kind, row_id, columns, is_current in self._found(self.page(number), number):
                yield Record(kind, row_id, columns, is_current)
        for number, page in self._older:
            for kind, row_id, columns, _ in self._found(page, number):
                yield Record(kind, row_id, columns, is_current=False)

    def sample(self, most: int) -> Iterator[Record]:
        """Yield what is found on some pages of the whole file, or on all if it has no more."""
        numbers = self._numbers()
        for number in numbers[:: max(1, len(numbers) // most)]:
            for kind, row_id, columns, is_current in self._found(self.page(number), number):
                yield Record(kind, row_id, columns, is_current)

    def _numbers(self) -> list[int]:
        """The pages that there are: a log that lost its file may tell of many that are not."""
        stored = range(1, min(self._count, -(-self._bytes // self._page_size)) + 1)
        return sorted({*stored, *(each for each in self._newest if each <= self._count)})

    def left_over(self) -> Iterator[Record]:
        """Yield what is on pages that the log still has from before; it may be gone since."""
        for number, at in self._log.left_over:
            for kind, row_id, columns, _ in self._found(self._log.page_at(at), number):
                yield Record(kind, row_id, columns, is_current=False)

    def page(self, number: int) -> bytes:
        """A page's newest version; zeros where there is none."""
        newest = self._newest.get(number)
        return self._stored(number) if newest is None else newest

    def _stored(self, number: int) -> bytes:
        if not 0 < number <= self._bytes // self._page_size + 1:
            return bytes(self._page_size)
        self._file.seek((number - 1) * self._page_size)
        return self._file.read(self._page_size).ljust(self._page_size, b"\0")

    def _found_page_size(self) -> int:
        """The size of which most pages are sound; what the header says may be damaged."""
        self._file.seek(0)
        stated = stated_page_size(self._file.read(_FIRST_PAGE_HEADER))
        best, most = PAGE_SIZE, -1.0
        for size in dict.fromkeys((PAGE_SIZE, stated or PAGE_SIZE, *_PAGE_SIZES)):
            self._page_size = size
            share = self._share_of_sound()
            if share > most:
                best, most = size, share
            if most > _SURELY:
                break
        return best

    def _share_of_sound(self) -> float:
        """Which share of some pages, from all of the file, is sound."""
        count = max(1, self._bytes // self._page_size)
        some = range(1, count + 1, -(-count // _MOST_TRIED))
        return sum(self._is_sound(number) for number in some) / len(some)

    def _is_sound(self, number: int) -> bool:
        page, at = self._stored(number), _FIRST_PAGE_HEADER if number == 1 else 0
        kind = page[at]
        return kind in _HEADER_BYTES and self._places(page, at, kind)[1]

    def _overlay(self) -> None:
        """Lay the log's frames over the file, those behind a bad one as well."""
        frames = self._log.frames
        most = self._bytes // self._page_size + len(frames)
        most = max([most, *(each.size for each in frames if each.is_sound)])
        for frame in frames:
            page = self._log.page_of(frame)
            if not 0 < frame.page <= most:
                self._older.append((0, page))
                continue
            if not frame.is_sound:
                self._older.append((frame.page, self.page(frame.page)))
            self._newest[frame.page] = page

    def _counted(self) -> int:
        last = self._log.frames[-1] if self._log.frames else None
        if last is not None and last.is_sound:
            return last.size
        return max(-(-self._bytes // self._page_size), *self._newest, 0)

    # Records

    def _found(
        self, page: bytes, number: int
    ) -> Iterator[tuple[int, int | None, tuple[Value, ...], bool]]:
        at = _FIRST_PAGE_HEADER if number == 1 else 0
        stated = page[at]
        kinds = sorted(_HEADER_BYTES, key=lambda kind: kind != stated)
        if not any(page):
            return
        for kind in kinds:  # the type itself may be what is damaged
            cells, is_sound = self._cells(page, at, kind)
            if is_sound:
                yield from ((kind, *cell, True) for cell in cells)
                return
            if kind == stated:
                yield from ((kind, *cell, True) for cell in cells)
        yield from ((TABLE_LEAF, *cell, False) for cell in self._searched(page))

    def _cells(
        self, page: bytes, at: int, kind: int
    ) -> tuple[list[tuple[int | None, tuple[Value, ...]]], bool]:
        """Read a page's cells by its own pointers; say whether all its bytes are accounted for."""
        places, is_sound = self._places(page, at, kind)
        cells = []
        for place in places:
            columns = self._columns(page, place.start, place.size, place.local)
            if columns is not None:
                cells.append((place.row_id, columns))
        return cells, is_sound

    def _places(self, page: bytes, at: int, kind: int) -> tuple[list[_Place], bool]:
        """Find a page's cells, unread; say whether all its bytes are accounted for."""
        first = at + _HEADER_BYTES[kind]
        count = min(_u16(page, at + 3), (len(page) - first) // 2)
        content = _u16(page, at + 5) or 1 << 16
        pointers = range(first, first + 2 * count, 2)
        places = [self._place(page, _u16(page, pointer), kind) for pointer in pointers]
        found = [place for place in places if place is not None]
        used = page[at + 7] + _free_bytes(page, _u16(page, at + 1))
        used += sum(place.taken for place in found)
        is_sound = used == len(page) - content and content >= first + 2 * count and bool(count)
        return found, is_sound

    def _place(self, page: bytes, at: int, kind: int) -> _Place | None:
        row_id, start = None, at + (_POINTER if kind == INDEX_INTERIOR else 0)
        try:
            size, start = varint(page, start)
            if kind == TABLE_LEAF:
                number, start = varint(page, start)
                row_id = signed(number)
        except IndexError:
            return None
        local = self._local(size, kind)
        taken = max(_LEAST_CELL, start - at + local + (_POINTER if local < size else 0))
        return _Place(row_id, start, size, local, taken)

    def _columns(self, page: bytes, at: int, size: int, local: int) -> tuple[Value, ...] | None:
        """Read a record of that size, with what of it lies on pages of its own."""
        found = layout(page, at)
        if found is None or found[2] - at != size or at + local > len(page):
            return None
        types, start, _ = found
        if local == size:
            return values(page, types, start)
        if size > self._bytes + len(self._log.data):
            return None
        following = int.from_bytes(page[at + local : at + local + _POINTER], "big")
        record = page[at : at + local] + self._overflow(following, size - local)
        return values(record, types, start - at)

    def _overflow(self, number: int, size: int) -> bytes:
        """Read a chain of pages; zeros stand for what is not there."""
        parts, room = [], self._page_size - _POINTER
        for _ in range(-(-size // room)):
            page = self.page(number)
            parts.append(page[_POINTER:])
            number = int.from_bytes(page[:_POINTER], "big")
        return b"".join(parts)[:size]

    def _local(self, size: int, kind: int) -> int:
        """How much of a record is on the page itself."""
        usable = self._page_size
        most = usable - 35 if kind == TABLE_LEAF else (usable - 12) * 64 // 255 - 23
        if size <= most:
            return size
        least = (usable - 12) * 32 // 255 - 23
        part = least + (size - least) % (usable - _POINTER)
        return part if part <= most else least

    def _searched(self, page: bytes) -> Iterator[tuple[int | None, tuple[Value, ...]]]:
        """Find rows on a page whose own pointers are not to be believed."""
        for match in _MAYBE_A_ROW.finditer(page):
            at = match.start()
            found = layout(page, at)
            if found is None or found[0][0] != 0:
                continue
            size = found[2] - at
            columns = self._columns(page, at, size, self._local(size, TABLE_LEAF))
            if columns is not None:
                yield _id_before(page, at, size), columns


def _id_before(page: bytes, at: int, size: int) -> int | None:
    """The id of the row whose record begins there; before it is the record's size."""
    length = as_varint(size)
    for count in range(1, min(_LARGEST_ID_BYTES, at - len(length)) + 1):
        start = at - count
        number, end = varint(page, start)
        if end == at and page[start - len(length) : start] == length:
            return signed(number)
    return None


def _free_bytes(page: bytes, at: int) -> int:
    """Bytes in the list of free blocks, whose places ascend."""
    total, before = 0, 0
    while before < at <= len(page) - _POINTER:
        total += _u16(page, at + 2)
        before, at = at, _u16(page, at)
    return total


def _u16(page: bytes, at: int) -> int:
    return page[at] << 8 | page[at + 1] if at + 1 < len(page) else 0
