"""Seals: a checksum in every record that decides what is sent, as whom, when or how often.

SQLite notices no flipped bit within a value. Rows of the queue have a checksum of their own
(`rows.checksum`); all other records are written here, and believed only if their seal is
that of what they say.
"""

from __future__ import annotations

import sqlite3
import zlib
from typing import TYPE_CHECKING, Any

from segops_durable.outbox.records.schema import PUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class DamagedRecordError(sqlite3.DatabaseError):
    """A record is not what was written. It can be mended where it is: see `mending`."""

    def __init__(self, what: str) -> None:
        super().__init__(f"malformed: {what}")


def seal_of(table: str, values: Iterable[object]) -> int:
    """The checksum of a record: of the table's name, and of each value with its type.

    As `ascii` has them: unlike `repr`, it is the same in every version of Python.
    """
    return zlib.crc32(ascii((table, *values)).encode())


def is_sealed(table: str, record: Sequence[Any]) -> bool:
    """Whether a record, read by `SELECT`, is what was written."""
    *values, seal = record
    return bool(seal == seal_of(table, values))


def put(writer: sqlite3.Connection, table: str, records: Iterable[Sequence[Any]]) -> None:
    """Write records, sealed, within the caller's transaction; one of the same name is replaced.

    Letters have no name: they are added. The tally is written by `tally` alone.

    The values have to be of the columns' own types: a whole number in a REAL column would be
    read as another value than was sealed.
    """
    sealed = [(*values, seal_of(table, values)) for values in records]
    writer.executemany(PUT[table], sealed)


def put_as_found(writer: sqlite3.Connection, table: str, records: Iterable[Sequence[Any]]) -> None:
    """Write records that were read by `SELECT` with the seals that they have, good or bad."""
    writer.executemany(PUT[table], records)
