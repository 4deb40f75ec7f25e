"""Removing rows: those that were read, and no others that have their ids by now.

The file may have been replaced, or salvaged, since a batch was taken from it. So a row is
known by its id, its checksum and its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.outbox.findability import RowKey, check_deletion
from segops_durable.outbox.records.burial import bury
from segops_durable.outbox.records.columns import Rows
from segops_durable.outbox.records.letters import Cause, Letter
from segops_durable.outbox.records.schema import QUEUE
from segops_durable.outbox.records.tally import standing
from segops_durable.outbox.records.walking import out_of_order

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from segops_durable.outbox.records.rows import Row

_DAMAGED = Letter(Cause.DAMAGED, "the stored bytes do not match their checksum")
_IS_IT = "_id = ? AND crc IS ? AND timestamp IS ?"
_DELETE = f"DELETE FROM {QUEUE} WHERE {_IS_IT}"
_BETWEEN = f"SELECT count(*), total(crc) FROM {QUEUE} WHERE _id BETWEEN ? AND ?"
_DELETE_BETWEEN = f"DELETE FROM {QUEUE} WHERE _id BETWEEN ? AND ?"
_IS_THERE = f"SELECT 1 FROM {QUEUE} WHERE {_IS_IT}"


def delete_rows(writer: sqlite3.Connection, rows: Sequence[Row], *, are_there: bool = False) -> int:
    """Delete rows that were read at any time; return how many were really there.

    Args:
        writer: The writing connection, within a transaction.
        rows: Their columns, or each by itself.
        are_there: Whether it is known that they are there as they were read. Defaults to False.

    Raises:
        sqlite3.DatabaseError: One is there, and cannot be deleted.
    """
    if are_there and _are_without_gap(Rows.of(rows)):
        if writer.execute(_DELETE_BETWEEN, _ends(Rows.of(rows))).rowcount < len(rows):
            raise out_of_order()
        return len(rows)
    if len(rows) > 1 and _are_all_between(writer, Rows.of(rows)):
        return writer.execute(_DELETE_BETWEEN, _ends(Rows.of(rows))).rowcount  # a third of many
    return delete_known(writer, [_known_by(row) for row in rows])


def delete_known(writer: sqlite3.Connection, keys: Sequence[RowKey]) -> int:
    """The same, for rows of which only that is known by which they are told apart."""
    removed = writer.executemany(_DELETE, keys).rowcount
    if removed < len(keys):
        check_deletion(writer, set(keys))
    return removed


def _ends(rows: Rows) -> tuple[int, int]:
    return rows.ids[0], rows.ids[-1]


def _are_without_gap(rows: Rows) -> bool:
    """Whether no other row can be between the first and the last."""
    first, last = _ends(rows)
    return last - first + 1 == len(rows)


def _are_all_between(writer: sqlite3.Connection, rows: Rows) -> bool:
    """Whether rows are there, and no others from the first of them to the last.

    Others in their place would have to have the same sum of checksums, which is as unlikely as
    one other row that has the same checksum.
    """
    found = writer.execute(_BETWEEN, _ends(rows)).fetchone()
    return bool(found == (len(rows), sum(rows.crcs)))


def delete_found(writer: sqlite3.Connection, rows: Sequence[Row]) -> int:
    """Delete rows that were read within this transaction, whatever they say.

    Raises:
        sqlite3.DatabaseError: They cannot be deleted.
    """
    return delete_by_ids(writer, QUEUE, [row.id for row in rows])


def bury_damaged(writer: sqlite3.Connection, rows: Sequence[Row]) -> int:
    """Move rows that are not what was stored to the dead letters; return how many.

    Args:
        writer: The writing connection, within a transaction.
        rows: Read within it.

    Raises:
        sqlite3.DatabaseError: They cannot be deleted.
    """
    before = standing(writer)
    before.record(writer, removed=delete_found(writer, rows))
    bury(writer, rows, _DAMAGED)
    return len(rows)


def delete_by_ids(writer: sqlite3.Connection, table: str, ids: Sequence[int]) -> int:
    """Delete what was read of a table within this transaction; return how many that were.

    Raises:
        sqlite3.DatabaseError: They cannot be deleted.
    """
    one_by_one = [(each,) for each in ids]
    removed = writer.executemany(f"DELETE FROM {table} WHERE _id = ?", one_by_one).rowcount
    if removed < len(ids):
        raise out_of_order()
    return removed


def still_there(writer: sqlite3.Connection, rows: Sequence[Row]) -> list[Row]:
    """Those that were not erased, and not replaced by others, since they were read."""
    return [row for row in rows if writer.execute(_IS_THERE, _known_by(row)).fetchone()]


def _known_by(row: Row) -> RowKey:
    return row.id, row.crc, row.tracked_at
