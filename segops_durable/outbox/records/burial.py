"""Burying: copying rows, or letters of a damaged file, into the table of dead letters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from segops_durable.outbox.records.letters import Cause, Letter
from segops_durable.outbox.records.schema import LETTERS
from segops_durable.outbox.records.seals import put, put_as_found, seal_of
from segops_durable.outbox.records.typed import as_bytes, is_time

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from segops_durable.outbox.records.rows import Row


def bury(writer: sqlite3.Connection, rows: Sequence[Row], letter: Letter) -> None:
    """Copy rows into the dead letters, within the caller's transaction."""
    now = time.time()
    why = (letter.cause.value, clean_text(letter.reason), letter.status, clean_text(letter.answer))
    records = [
        (row.id, as_bytes(row.data), clean_text(row.identity), row.moment.wall, now, *why)
        for row in rows
    ]
    put(writer, LETTERS, records)


def keep_letter(
    writer: sqlite3.Connection, record: Sequence[Any] | None, found: Sequence[Any]
) -> None:
    """Keep a letter that was read in a damaged file, under a number of its own, once.

    Args:
        writer: The writing connection.
        record: What was read, sealed as it was found; None if that cannot be kept as it is.
        found: The same, with values of any type.
    """
    if record is None:
        row_id, data, identity, tracked_at, died_at, _cause, reason, status, answer, _seal = found
        times = [each if is_time(each) else 0.0 for each in (tracked_at, died_at)]
        known = status if isinstance(status, int) else None
        whose = (row_id if isinstance(row_id, int) else 0, as_bytes(data), clean_text(identity))
        why = (Cause.DAMAGED.value, clean_text(reason), known, clean_text(answer))
        values = (*whose, *times, *why)
        record = (*values, seal_of(LETTERS, values))
    twin = f"SELECT 1 FROM {LETTERS} WHERE seal = ? AND data = ?"
    if writer.execute(twin, (record[-1], record[1])).fetchone() is None:
        put_as_found(writer, LETTERS, [record])


def clean_text(value: object) -> str:
    """Text that can be stored: a server's answer may have half of a surrogate pair."""
    return str(value).encode(errors="replace").decode()
