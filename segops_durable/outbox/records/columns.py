"""Rows as they are read, by the hundred: column by column.

To make an object of each row, and to look at its values one by one, takes longer than SQLite takes
to find it. So values are looked at by the column, and a `Row` is made of one that is asked for.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, overload

from segops_durable.outbox.records.rows import STAMP, Row
from segops_durable.outbox.records.schema import COLUMNS_READ, QUEUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SELECT_COLUMNS = f"SELECT {', '.join(COLUMNS_READ)} FROM {QUEUE}"
"""What the rows of one identity are read by: all but that."""

_NOTHING = type(None)
_STORED_TYPES = ({int}, {bytes}, {float}, {int})
_STORED_CLOCKS = {(float, int), (_NOTHING, _NOTHING)}


class Rows(Sequence[Row]):
    """Rows of one identity.

    Args:
        columns: Their values, in the order of `SELECT_COLUMNS`.
        identity: Whose they are.

    Attributes:
        ids: Their ids.
        data: The events.
        tracked_at: When they were tracked.
        crcs: Their checksums.
        identity: Whose they are.
        uptimes: When they were tracked, by the other clock; None where that is not known.
        boots: In which boot; likewise.
    """

    __slots__ = ("boots", "crcs", "data", "identity", "ids", "tracked_at", "uptimes")

    def __init__(self, columns: Iterable[Sequence[Any]], identity: str) -> None:
        self.ids: Sequence[int]
        self.data: Sequence[bytes]
        self.tracked_at: Sequence[float]
        self.crcs: Sequence[int]
        self.uptimes: Sequence[float | None]
        self.boots: Sequence[int | None]
        self.ids, self.data, self.tracked_at, self.crcs, self.uptimes, self.boots = columns
        self.identity: str = identity

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Rows:
        """The same as columns; as they are, if they are columns."""
        if isinstance(rows, cls):
            return rows
        columns = list(zip(*rows, strict=True)) or [()] * (len(COLUMNS_READ) + 1)
        identities = columns.pop(4)
        return cls(columns, identities[0] if identities else "")

    @classmethod
    def read(cls, found: Sequence[Sequence[Any]], identity: str) -> Rows:
        """Read what was found by `SELECT_COLUMNS`; of values of other types as `Row.of` has it."""
        columns = list(zip(*found, strict=True)) or [()] * len(COLUMNS_READ)
        if not found or _are_as_stored(columns):
            return cls(columns, identity)
        return cls.of([Row.of((*values[:4], identity, *values[4:])) for values in found])

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> Row | Rows:
        """One as a row; some as columns."""
        values: list[Any] = [each[index] for each in self._columns]
        if isinstance(index, slice):
            return Rows(values, self.identity)
        return Row._make((*values[:4], self.identity, *values[4:]))

    def __iter__(self) -> Iterator[Row]:
        """Each as a row."""
        *first, uptimes, boots = self._columns
        return map(Row, *first, repeat(self.identity), uptimes, boots)

    @property
    def are_intact(self) -> bool:
        """Whether all are as they were stored; False also where each has to be looked at."""
        uptimes, boots = self.uptimes, self.boots
        if None in uptimes or None in boots:
            uptimes = [-1.0 if each is None else each for each in uptimes]
            boots = [-1 if each is None else each for each in boots]
        ends: Iterable[bytes]
        try:
            ends = map(STAMP.pack, self.tracked_at, uptimes, boots)
            if self.identity:
                ends = map(self.identity.encode().__add__, ends)
            return [*map(zlib.crc32, ends, map(zlib.crc32, self.data))] == [*self.crcs]
        except (TypeError, ValueError, OverflowError, struct.error):  # no stored row has such
            return False

    @property
    def _columns(self) -> tuple[Sequence[Any], ...]:
        return self.ids, self.data, self.tracked_at, self.crcs, self.uptimes, self.boots


def damaged_among(rows: Sequence[Row]) -> list[Row]:
    """Those that are not intact, by one checksum each where nothing is wrong."""
    if Rows.of(rows).are_intact:
        return []
    return [row for row in rows if not row.is_intact]


def _are_as_stored(columns: Sequence[Sequence[Any]]) -> bool:
    """Whether the values are of the types that were stored: a damaged file may have any."""
    *first, uptimes, boots = columns
    if any({*map(type, each)} != kinds for each, kinds in zip(first, _STORED_TYPES, strict=True)):
        return False
    return {*zip(map(type, uptimes), map(type, boots), strict=True)} <= _STORED_CLOCKS
