"""Marks: which rows are a batch in flight, under which key, and as whose they are sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.outbox.records.schema import SELECT
from segops_durable.outbox.records.seals import DamagedRecordError, is_sealed, put
from segops_durable.outbox.records.tally import MOST_ID

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from segops_durable.outbox.records.batch import Batch

_SENDABLE = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")
"""What may stand in a header."""

_FIRST = f"""
{SELECT["in_flight"]}
WHERE identity = ? AND instr(?, char(10) || batch_key || char(10)) = 0 ORDER BY first_id LIMIT 1
"""


class Mark(NamedTuple):
    """A batch in flight, in the order of the table's columns.

    Attributes:
        first_id: Its oldest row.
        last_id: Its newest.
        row_count: How many it has.
        identity: Whose they are.
        key: Its ``Idempotency-Key``.
        assigned: As whose they are sent; empty where that is open, or needs no saying.
    """

    first_id: int
    last_id: int
    row_count: int
    identity: str
    key: str
    assigned: str

    @classmethod
    def of(cls, record: Sequence[Any]) -> Mark | None:
        """Read a record of the table; None if it is not what was written, or of no use."""
        if not is_sealed("in_flight", record) or not _is_possible(record):
            return None
        return cls(*record[:-1])


def _is_possible(record: Sequence[Any]) -> bool:
    """Whether the values are of their types, and in their ranges, and the key can be sent."""
    first_id, last_id, row_count, identity, key, assigned, _seal = record
    return (
        all(type(each) is int and 0 < each <= MOST_ID for each in (first_id, last_id, row_count))
        and all(isinstance(each, str) for each in (identity, key, assigned))
        and _SENDABLE.fullmatch(key) is not None
    )


def first_query(identity: str, aside: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The SELECT for an identity's oldest mark, but for those of some keys."""
    return _FIRST, (identity, "\n".join(("", *aside, "")))  # in one: builds of SQLite limit them


def first_mark(writer: sqlite3.Connection, identity: str, aside: Sequence[str]) -> Mark | None:
    """Read an identity's oldest mark, but for those of some keys.

    Raises:
        DamagedRecordError: It is not what was written.
    """
    found = writer.execute(*first_query(identity, aside)).fetchone()
    return None if found is None else _checked(found)


def mark(writer: sqlite3.Connection, batch: Batch) -> None:
    """Write down that a batch is in flight, within the caller's transaction."""
    ids = (batch.first_id, batch.last_id, len(batch.rows))
    put(writer, "in_flight", [(*ids, batch.identity, batch.key, batch.assigned)])


def unmark(writer: sqlite3.Connection, key: str) -> bool:
    """Let a batch's rows be taken anew, within the caller's transaction; say if it was marked."""
    return writer.execute("DELETE FROM in_flight WHERE batch_key = ?", (key,)).rowcount > 0


def assign(writer: sqlite3.Connection, key: str, identity: str) -> None:
    """Write down as whose a batch is sent, within the caller's transaction."""
    sql = f"{SELECT['in_flight']} WHERE batch_key = ?"
    found = writer.execute(sql, (key,)).fetchall()
    marks = [_checked(record)._replace(assigned=identity) for record in found]
    put(writer, "in_flight", marks)


def assigned_marks(connection: sqlite3.Connection) -> list[Mark]:
    """The batches in flight of which it is written down as whose they are sent.

    Raises:
        DamagedRecordError: One is not what was written.
    """
    records = connection.execute(SELECT["in_flight"]).fetchall()
    return [found for found in map(_checked, records) if found.assigned]


def _checked(record: Sequence[Any]) -> Mark:
    found = Mark.of(record)
    if found is None:
        raise DamagedRecordError("what is said of a batch in flight is not what was written")
    return found
