"""Batches on their way out: taken, marked in flight, settled.

A batch is written down before it is sent, in the transaction that settles the one before
it. So after a crash at any instant exactly one batch an identity may be sent again, and it
is the same bytes under the same key. Row ids are never reused, so a late delete can only
ever hit the rows that it was meant for.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from segops_durable.outbox.event_queue import QUEUE
from segops_durable.outbox.rows import Batch, Letter, Row, Settlement, Take, Taken

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from segops_durable.outbox.store import Store

_DAMAGED = Letter("the stored bytes do not match their checksum")

_IN_FLIGHT = """
SELECT first_id, last_id, row_count, identity, batch_key FROM in_flight
WHERE identity NOT IN ({skip}) ORDER BY first_id LIMIT 1
"""
_HEAD = f"SELECT identity FROM {QUEUE} WHERE identity NOT IN ({{skip}}) ORDER BY _id LIMIT 1"
_COLUMNS = f"SELECT _id, data, timestamp, crc, identity FROM {QUEUE} WHERE identity = ?"
_BY_INDEX = " AND identity <> ''"  # lets SQLite use the partial index on identities
_BURY = """
INSERT INTO dead_letters
    (row_id, data, identity, tracked_at, died_at, reason, status, answer)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""


class Batches:
    """Takes batches from the store and settles them.

    Args:
        store: The open outbox file.
        key_prefix: The outbox's UUID, the first part of every ``Idempotency-Key``.
    """

    def __init__(self, store: Store, key_prefix: str) -> None:
        self._store = store
        self._key_prefix = key_prefix

    def take(self, take: Take) -> Taken:
        """Mark the next batch in flight, or find the one that is in flight already."""
        sql = f"{_HEAD.format(skip=_marks(take.skip))}"
        if not self._store.read(sql, take.skip):
            return Taken(None)  # an idle outbox is not written to
        return self._store.transact(lambda writer: self._next(writer, take))

    def settle(self, settlement: Settlement, then: Take) -> Taken:
        """Remove an answered batch and mark the next, in one transaction."""

        def settle_and_take(writer: sqlite3.Connection) -> Taken:
            self._remove(writer, settlement.batch)
            if settlement.letter is not None:
                self._bury(writer, settlement.batch.rows, settlement.letter)
            writer.execute(
                "UPDATE tally SET accepted = accepted + ?, last_accepted_at = ?",
                (settlement.accepted, time.time()),
            )
            return self._next(writer, then)

        return self._store.transact(settle_and_take)

    def _next(self, writer: sqlite3.Connection, take: Take) -> Taken:
        """Find the next batch whose rows are all intact; bury the damaged on the way."""
        buried = 0
        while True:
            marked = self._marked(writer, take)
            rows, key = marked or (self._waiting(writer, take), "")
            damaged = [row for row in rows if not row.is_intact]
            if not damaged:
                break
            if marked:
                writer.execute("DELETE FROM in_flight WHERE batch_key = ?", (key,))
            self._delete(writer, damaged)
            self._bury(writer, damaged, _DAMAGED)
            buried += len(damaged)
        if not rows:
            return Taken(None, buried)
        batch = Batch(tuple(rows), key or self._key(rows))
        if not marked:
            self._mark(writer, batch)
        return Taken(batch, buried)

    def _marked(self, writer: sqlite3.Connection, take: Take) -> tuple[list[Row], str] | None:
        """Read the batch that is in flight; one that lost rows is no longer that batch."""
        found = writer.execute(_IN_FLIGHT.format(skip=_marks(take.skip)), take.skip).fetchone()
        if found is None:
            return None
        first_id, last_id, row_count, identity, key = found
        rows = _rows(writer, identity, " AND _id BETWEEN ? AND ? ORDER BY _id", first_id, last_id)
        if len(rows) == row_count:
            return rows, key
        writer.execute("DELETE FROM in_flight WHERE batch_key = ?", (key,))
        return self._marked(writer, take)

    @staticmethod
    def _waiting(writer: sqlite3.Connection, take: Take) -> list[Row]:
        head = writer.execute(_HEAD.format(skip=_marks(take.skip)), take.skip).fetchone()
        if head is None:
            return []
        rows = _rows(writer, head[0], " ORDER BY _id LIMIT ?", take.limit)
        return rows if len(rows) >= take.minimum else []

    @staticmethod
    def _mark(writer: sqlite3.Connection, batch: Batch) -> None:
        writer.execute(
            "INSERT INTO in_flight (first_id, last_id, row_count, identity, batch_key)"
            " VALUES (?, ?, ?, ?, ?)",
            (batch.first_id, batch.last_id, len(batch.rows), batch.identity, batch.key),
        )

    def _key(self, rows: Sequence[Row]) -> str:
        """Name the batch by its rows: with the count, since damage may thin them out."""
        return f"{self._key_prefix}-{rows[0].id}-{rows[-1].id}-{len(rows)}"

    def _remove(self, writer: sqlite3.Connection, batch: Batch) -> None:
        writer.execute("DELETE FROM in_flight WHERE batch_key = ?", (batch.key,))
        self._delete(writer, batch.rows)

    @staticmethod
    def _delete(writer: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Delete rows and count what was really there: `pending` is derived from it."""
        ids = [(row.id,) for row in rows]
        removed = writer.executemany(f"DELETE FROM {QUEUE} WHERE _id = ?", ids).rowcount
        writer.execute("UPDATE tally SET removed = removed + ?", (removed,))

    @staticmethod
    def _bury(writer: sqlite3.Connection, rows: Sequence[Row], letter: Letter) -> None:
        now = time.time()
        writer.executemany(
            _BURY,
            [
                (
                    row.id,
                    row.data,
                    row.identity,
                    row.tracked_at,
                    now,
                    letter.reason,
                    letter.status,
                    letter.answer,
                )
                for row in rows
            ],
        )


def _rows(writer: sqlite3.Connection, identity: str, tail: str, *parameters: Any) -> list[Row]:  # noqa: ANN401 - SQL parameters
    sql = _COLUMNS + (_BY_INDEX if identity else "") + tail
    return [Row(*found) for found in writer.execute(sql, (identity, *parameters)).fetchall()]


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
