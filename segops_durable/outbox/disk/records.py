"""Records of SQLite's pages, each read for itself.

What is damaged yields nothing, or values that their checksums refuse: nothing here believes
a length without the bytes to it.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

Value: TypeAlias = "int | float | bytes | str | None"

MOST_COLUMNS = 20
_LARGEST_HEADER = 100
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_CONSTANTS = {0: None, 8: 0, 9: 1}
_FLOAT, _FIRST_BLOB = 7, 12
_DOUBLE = struct.Struct(">d")
_MORE = 0x80  # the bit that says that another byte follows


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of variable length; return it, and where it ends.

    Raises:
        IndexError: It ends behind the data.
    """
    byte = data[at]
    if byte < _MORE:
        return byte, at + 1
    value = byte & 0x7F
    for count in range(1, 8):
        byte = data[at + count]
        value = value << 7 | byte & 0x7F
        if byte < _MORE:
            return value, at + count + 1
    return value << 8 | data[at + 8], at + 9


def as_varint(value: int) -> bytes:
    """Write a number as SQLite does, of 56 bits at most."""
    out = bytearray([value & 0x7F])
    while value := value >> 7:
        out.insert(0, _MORE | value & 0x7F)
    return bytes(out)


def signed(value: int) -> int:
    """The number that 64 bits stand for."""
    return value - (1 << 64) if value >> 63 else value


def layout(data: bytes, at: int) -> tuple[list[int], int, int] | None:
    """Read a record's header: the types of its columns, where they begin, where they end.

    The end may lie behind the data: on pages of their own.
    """
    try:
        size, place = varint(data, at)
        start = at + size
        if size > _LARGEST_HEADER or start > len(data):
            return None
        types: list[int] = []
        end = start
        while place < start:
            kind, place = varint(data, place)
            types.append(kind)
            end += _size(kind)
    except (IndexError, ValueError):
        return None
    is_right = place == start and 0 < len(types) <= MOST_COLUMNS
    return (types, start, end) if is_right else None


def values(data: bytes, types: list[int], at: int) -> tuple[Value, ...]:
    """Read a record's columns; a text that is none any more is read all the same."""
    found: list[Value] = []
    for kind in types:
        end = at + _size(kind)
        if kind in _INTEGERS:
            found.append(int.from_bytes(data[at:end], "big", signed=True))
        elif kind == _FLOAT:
            found.append(_DOUBLE.unpack_from(data, at)[0])
        elif kind in _CONSTANTS:
            found.append(_CONSTANTS[kind])
        else:
            content = bytes(data[at:end])
            found.append(content.decode(errors="replace") if kind % 2 else content)
        at = end
    return tuple(found)


def record(data: bytes) -> tuple[Value, ...] | None:
    """Read a record that is all of the data; None where it is none."""
    found = layout(data, 0)
    if found is None or found[2] != len(data):
        return None
    types, start, _ = found
    return values(data, types, start)


def _size(kind: int) -> int:
    if kind >= _FIRST_BLOB:
        return (kind - _FIRST_BLOB) // 2
    if kind in _CONSTANTS:
        return 0
    if kind == _FLOAT:
        return 8
    if kind not in _INTEGERS:
        raise ValueError(kind)
    return _INTEGERS[kind]
