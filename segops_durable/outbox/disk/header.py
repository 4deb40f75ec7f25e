"""The first hundred bytes: the same in all outboxes, but for a few counters.

SQLite believes them, whatever a disk has made of them: one bit there makes a file read-only,
or has new pages written over old ones.
"""

from __future__ import annotations

import struct

SIZE = 100
_OF_TABLES = {"schema format", "encoding"}
_PAGE_NUMBERS = struct.Struct(">II")
_SMALLEST_PAGE, _LARGEST_PAGE = 1 << 9, 1 << 16
_RESERVED = {0, 12}
"""Bytes at the end of each page: none, but for the SQLite that macOS has."""

_MUST_BE = {
    "magic": (0, 16, {b"SQLite format 3\0"}),
    "versions": (18, 20, {b"\1\1", b"\2\2"}),
    "reserved bytes": (20, 21, {bytes([count]) for count in _RESERVED}),
    "fractions": (21, 24, {b"\x40\x20\x20"}),
    "schema format": (44, 48, {bytes([0, 0, 0, 4])}),
    "encoding": (56, 60, {bytes([0, 0, 0, 1])}),
}
"""What decides nothing (the application's number, the size of a cache) may be anything."""


def stated_page_size(header: bytes) -> int:
    """The size of a page, as the header has it; 0 for one that SQLite does not have."""
    said = int.from_bytes(header[16:18], "big")
    size = _LARGEST_PAGE if said == 1 else said  # it does not fit into two bytes
    return 0 if size < _SMALLEST_PAGE or size & (size - 1) else size


def user_version(header: bytes) -> int:
    """The number that a program has given to its tables; the log may have a newer one."""
    return int.from_bytes(header[60:64], "big")


def has_pointer_map(header: bytes) -> bool:
    """Whether SQLite will keep a map of pointers, and move pages by it (``auto_vacuum``)."""
    return any(header[52:56])


def problem_of(header: bytes, size: int, in_log: set[int]) -> str:
    """Say what is wrong with a header; empty if nothing is.

    Args:
        header: The first bytes of the file.
        size: Bytes of the file.
        in_log: The pages of which its log has a newer version.
    """
    if not header and not size:
        return ""  # it was made, and not yet used
    if 1 in in_log:
        return ""  # and that one is what counts
    if len(header) < SIZE:
        return "it is cut off"
    page_size = stated_page_size(header)
    is_new = size <= page_size  # it has no table yet, and does not say how those are stored
    for name, (start, end, right) in _MUST_BE.items():
        is_unsaid = is_new and name in _OF_TABLES and not any(header[start:end])
        if header[start:end] not in right and not is_unsaid:
            return name
    return _problem_of_numbers(header, size, page_size, has_log=bool(in_log))


def _problem_of_numbers(header: bytes, size: int, page_size: int, *, has_log: bool) -> str:
    if not page_size:
        return "page size"
    stated = int.from_bytes(header[28:32], "big")
    is_stated = header[24:28] == header[92:96]
    if not has_log and size % page_size:
        return "the file is cut off"
    if not has_log and is_stated and stated != size // page_size:
        return "size"
    first, count = _PAGE_NUMBERS.unpack(header[32:40])
    if bool(first) != bool(count) or max(first, count) > max(stated, size // page_size):
        return "free pages"
    return ""
