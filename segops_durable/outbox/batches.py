"""Batches on their way out: taken, marked in flight, settled.

A batch is written down before it is sent, in the transaction that settles the one before
it. So after a crash at any instant exactly one batch an identity may be sent again, and it
is the same bytes under the same key. Row ids are never reused, so a late delete can only
ever hit the rows that it was meant for.
"""

from __future__ import annotations

import sqlite3
import time
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from segops_durable.outbox.dead_letters import bury
from segops_durable.outbox.event_queue import IS_FREE, QUEUE
from segops_durable.outbox.letters import Cause, Letter
from segops_durable.outbox.rows import Batch, Row, Settlement, Take, Taken, body_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segops_durable.outbox.store import Store

_DAMAGED = Letter(Cause.DAMAGED, "the stored bytes do not match their checksum")

_IN_FLIGHT = """
SELECT first_id, last_id, row_count, identity, batch_key FROM in_flight
WHERE identity NOT IN ({skip}) AND batch_key NOT IN ({aside}) ORDER BY first_id LIMIT 1
"""
_HEAD = f"""
SELECT _id, identity FROM {QUEUE} AS row
WHERE (identity IS NULL OR identity NOT IN ({{skip}})) AND {IS_FREE} ORDER BY _id LIMIT 1
"""
_NEXT_MARK = "SELECT min(first_id) FROM in_flight WHERE identity = ? AND first_id > ?"
_COLUMNS = f"SELECT _id, data, timestamp, crc, identity FROM {QUEUE} WHERE identity = ?"
_BY_INDEX = " AND identity <> ''"  # lets SQLite use the partial index on identities
_HIGHEST_ID = (1 << 63) - 1


class Batches:
    """Takes batches from the store and settles them.

    Args:
        store: The open outbox file.
        key_prefix: Says the outbox's UUID, the first part of every ``Idempotency-Key``.
    """

    def __init__(self, store: Store, key_prefix: Callable[[], str]) -> None:
        self._store = store
        self._key_prefix = key_prefix

    def take(self, take: Take) -> Taken:
        """Mark the next batch in flight, or find the one that is in flight already."""
        if not self._store.read(*_marked_query(take)) and not self._store.read(*_head_query(take)):
            return Taken(None)  # an idle outbox is not written to
        return self._store.transact(lambda writer: self._next(writer, take), is_vital=True)

    def settle(self, settlement: Settlement, then: Take | None) -> Taken:
        """Remove an answered batch and mark the next, if one is wanted, in one transaction.

        Safe to call again after an error: a commit that raised may be on disk all the same.
        """

        def settle_and_take(writer: sqlite3.Connection) -> Taken:
            is_news = self._remove(writer, settlement.batch) > 0
            if is_news and settlement.letter is not None:
                bury(writer, settlement.batch.rows, settlement.letter)
            if is_news and settlement.accepted:
                writer.execute(
                    "UPDATE tally SET accepted = accepted + ?, last_accepted_at = ?",
                    (settlement.accepted, time.time()),
                )
            return Taken(None) if then is None else self._next(writer, then)

        return self._store.transact(settle_and_take, is_vital=True)

    def release(self, batch: Batch, then: Take) -> Taken:
        """Let a batch's rows be taken anew, in smaller batches, and take the next."""

        def release_and_take(writer: sqlite3.Connection) -> Taken:
            self._unmark(writer, batch.key)
            return self._next(writer, then)

        return self._store.transact(release_and_take, is_vital=True)

    def halve(self, batch: Batch, then: Take) -> Taken:
        """Make two batches of one that was refused as a whole, and take the next.

        Both halves are marked in flight, so that a crash goes on with them.
        """
        middle = (len(batch.rows) + 1) // 2

        def halve_and_take(writer: sqlite3.Connection) -> Taken:
            self._unmark(writer, batch.key)
            for rows in (batch.rows[:middle], batch.rows[middle:]):
                self._mark(writer, Batch(rows, self._key(rows)))
            return self._next(writer, then)

        return self._store.transact(halve_and_take, is_vital=True)

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
                self._unmark(writer, key)
            self._delete(writer, damaged)
            bury(writer, damaged, _DAMAGED)
            buried += len(damaged)
        if not rows:
            return Taken(None, buried)
        batch = Batch(tuple(rows), key or self._key(rows))
        if not marked:
            self._mark(writer, batch)
        return Taken(batch, buried)

    def _marked(self, writer: sqlite3.Connection, take: Take) -> tuple[list[Row], str] | None:
        """Read the batch that is in flight; one that lost rows is no longer that batch."""
        found = writer.execute(*_marked_query(take)).fetchone()
        if found is None:
            return None
        first_id, last_id, row_count, identity, key = found
        rows = _rows(writer, identity, " AND _id BETWEEN ? AND ? ORDER BY _id", first_id, last_id)
        if len(rows) == row_count:
            return rows, key
        self._unmark(writer, key)
        return self._marked(writer, take)

    @staticmethod
    def _waiting(writer: sqlite3.Connection, take: Take) -> list[Row]:
        """Read the oldest rows that are in no batch yet, up to the next that is in one."""
        head = writer.execute(*_head_query(take)).fetchone()
        if head is None:
            return []
        first_id, identity = head
        (mark,) = writer.execute(_NEXT_MARK, (identity, first_id)).fetchone()
        if not isinstance(identity, str):
            return _damaged_row(writer, first_id)
        tail = " AND _id >= ? AND _id < ? ORDER BY _id LIMIT ?"
        rows = _rows(writer, identity, tail, first_id, mark or _HIGHEST_ID, take.limit)
        if not rows or rows[0].id != first_id:
            raise _unfindable()
        return _fitting(rows, take.max_bytes) if len(rows) >= take.minimum else []

    @staticmethod
    def _mark(writer: sqlite3.Connection, batch: Batch) -> None:
        writer.execute(
            "INSERT INTO in_flight (first_id, last_id, row_count, identity, batch_key)"
            " VALUES (?, ?, ?, ?, ?)",
            (batch.first_id, batch.last_id, len(batch.rows), batch.identity, batch.key),
        )

    def _key(self, rows: Sequence[Row]) -> str:
        """Name the batch by its rows: with the count, since damage may thin them out."""
        return f"{self._key_prefix()}-{rows[0].id}-{rows[-1].id}-{len(rows)}"

    @staticmethod
    def _unmark(writer: sqlite3.Connection, key: str) -> None:
        writer.execute("DELETE FROM in_flight WHERE batch_key = ?", (key,))

    def _remove(self, writer: sqlite3.Connection, batch: Batch) -> int:
        self._unmark(writer, batch.key)
        return self._delete(writer, batch.rows)

    @staticmethod
    def _delete(writer: sqlite3.Connection, rows: Sequence[Row]) -> int:
        """Delete rows and count what was really there: `pending` is derived from it."""
        ids = [(row.id,) for row in rows]
        removed = writer.executemany(f"DELETE FROM {QUEUE} WHERE _id = ?", ids).rowcount
        if removed < len(ids):
            _check_deletion(writer, rows)
        writer.execute("UPDATE tally SET removed = removed + ?", (removed,))
        return removed


def _marked_query(take: Take) -> tuple[str, tuple[str, ...]]:
    sql = _IN_FLIGHT.format(skip=_marks(take.skip), aside=_marks(take.aside))
    return sql, (*take.skip, *take.aside)


def _head_query(take: Take) -> tuple[str, tuple[str, ...]]:
    return _HEAD.format(skip=_marks(take.skip)), tuple(take.skip)


def _fitting(rows: list[Row], max_bytes: int | None) -> list[Row]:
    """The first of the rows whose body is no larger; at least one."""
    if max_bytes is None:
        return rows
    room = max_bytes - body_size(())
    with_commas = accumulate(len(row.data) + 1 for row in rows)
    count = sum(1 for size in with_commas if size - 1 <= room)
    return rows[: max(1, count)]


def _rows(writer: sqlite3.Connection, identity: str, tail: str, *parameters: Any) -> list[Row]:  # noqa: ANN401 - SQL parameters
    sql = _COLUMNS + (_BY_INDEX if identity else "") + tail
    rows = [Row(*found) for found in writer.execute(sql, (identity, *parameters)).fetchall()]
    if any(row.id >= following.id for row, following in pairwise(rows)):
        raise _unfindable()  # and by its id another row would be deleted
    return rows


def _check_deletion(writer: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Make sure that rows which could not be deleted are not there.

    In a damaged file a search by id may miss a row that a scan sees, and sends, for ever.
    """
    sql = f"SELECT _id FROM {QUEUE} WHERE +_id BETWEEN ? AND ?"  # +: a scan, not a search
    there = {found[0] for found in writer.execute(sql, (rows[0].id, rows[-1].id)).fetchall()}
    if there.intersection(row.id for row in rows):
        raise _unfindable()


def _unfindable() -> sqlite3.DatabaseError:
    return sqlite3.DatabaseError("malformed: rows cannot be found by their ids")


def _damaged_row(writer: sqlite3.Connection, row_id: int) -> list[Row]:
    """Read a row that nobody can be asked for by its identity."""
    sql = f"SELECT _id, data, timestamp, crc, identity FROM {QUEUE} WHERE _id = ?"
    return [Row(*found) for found in writer.execute(sql, (row_id,)).fetchall()]


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
