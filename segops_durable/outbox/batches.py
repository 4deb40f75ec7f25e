"""Batches on their way out: taken, marked in flight, settled.

A batch is written down before it is sent, in the transaction that settles the one before
it. So after a crash at any instant exactly one batch an identity may be sent again, and it
is the same bytes under the same key. Row ids are never reused, so a late delete can only
ever hit the rows that it was meant for.

Before it is written down, the times of its events are corrected, if the clock has been set
since they were tracked. After that nothing changes them, whatever becomes of the clock.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from segops_durable.clock import corrected
from segops_durable.events import retimed
from segops_durable.identity import NO_IDENTITY
from segops_durable.outbox.dead_letters import bury
from segops_durable.outbox.event_queue import IS_FREE, QUEUE
from segops_durable.outbox.letters import Cause, Letter
from segops_durable.outbox.rows import (
    Batch,
    Row,
    Settlement,
    Take,
    Taken,
    body_size,
    checksum,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segops_durable.clock import Clock, Moment
    from segops_durable.outbox.store import Store

_DAMAGED = Letter(Cause.DAMAGED, "the stored bytes do not match their checksum")

_BY_INDEX = " AND identity <> ''"  # lets SQLite use the partial index on identities
_IDENTITIES = f"""
WITH RECURSIVE named (identity) AS (
    SELECT (SELECT min(identity) FROM {QUEUE} WHERE identity <> '')
    UNION ALL
    SELECT (SELECT min(identity) FROM {QUEUE} WHERE identity > named.identity{_BY_INDEX})
    FROM named WHERE named.identity IS NOT NULL
)
SELECT identity, (
    SELECT min(_id) FROM {QUEUE} AS row WHERE row.identity = named.identity{_BY_INDEX}
) AS head
FROM named WHERE identity IS NOT NULL ORDER BY head
"""
_FIRST = f"SELECT _id, identity FROM {QUEUE} ORDER BY _id LIMIT 1"
_MARKED = """
SELECT first_id, last_id, row_count, batch_key, assigned FROM in_flight
WHERE identity = ? AND batch_key NOT IN ({aside}) ORDER BY first_id LIMIT 1
"""
_FREE = f"""
SELECT _id FROM {QUEUE} AS row
WHERE identity = ?{{by_index}} AND {IS_FREE} ORDER BY _id LIMIT 1
"""
_NEXT_MARK = "SELECT min(first_id) FROM in_flight WHERE identity = ? AND first_id > ?"
_SELECT = f"SELECT _id, data, timestamp, crc, identity, uptime, boot FROM {QUEUE}"
_MARK = """
INSERT INTO in_flight (first_id, last_id, row_count, identity, batch_key, assigned)
VALUES (?, ?, ?, ?, ?, ?)
"""
_RETIME = f"UPDATE {QUEUE} SET data = ?, timestamp = ?, crc = ? WHERE _id = ?"
_HIGHEST_ID = (1 << 63) - 1


class Batches:
    """Takes batches from the store and settles them.

    Args:
        store: The open outbox file.
        key_prefix: Says the outbox's UUID, the first part of every ``Idempotency-Key``.
        clock: Tells whether a clock was set since an event was tracked.
    """

    def __init__(self, store: Store, key_prefix: Callable[[], str], clock: Clock) -> None:
        self._store = store
        self._key_prefix = key_prefix
        self._clock = clock

    def identities(self) -> list[str]:
        """Whose events wait, those with the oldest first.

        The cost grows with the number of identities, not of events. `NO_IDENTITY` is there
        only if the oldest event of all is of it.
        """
        named = [found[0] for found in self._store.read(_IDENTITIES) if isinstance(found[0], str)]
        first = self._store.read(_FIRST)
        if first:
            identity = first[0][1] if isinstance(first[0][1], str) else NO_IDENTITY
            if identity not in named:  # or it is in no index, which the next take will notice
                named.insert(0, identity)
        return named

    def take(self, take: Take) -> Taken:
        """Mark an identity's next batch in flight, or find the one that is in flight already."""
        if not self._is_worth_taking(take):
            return Taken(None)  # an idle outbox is not written to
        return self._store.transact(lambda writer: self._next(writer, take), is_vital=True)

    def _is_worth_taking(self, take: Take) -> bool:
        if self._store.read(*_marked_query(take)) or self._store.read(*_free_query(take)):
            return True
        first = self._store.read(_FIRST)
        # damage: nobody's row is at the head, or one that is not found where it should be
        return bool(first) and (not isinstance(first[0][1], str) or first[0][1] == take.identity)

    def settle(self, settlement: Settlement, then: Take | None) -> Taken:
        """Remove an answered batch and mark the next, if one is wanted, in one transaction.

        Safe to call again after an error: a commit that raised may be on disk all the same.
        """
        batch, letter = settlement.batch, settlement.letter

        def settle_and_take(writer: sqlite3.Connection) -> Taken:
            if letter is not None:
                bury(writer, _still_there(writer, batch.rows), letter)
            is_news = self._remove(writer, batch) > 0
            if is_news and settlement.accepted:
                writer.execute(
                    "UPDATE tally SET accepted = accepted + ?, last_accepted_at = ?",
                    (settlement.accepted, self._clock.time()),
                )
            return self._next_if(writer, then)

        return self._store.transact(settle_and_take, is_vital=True)

    def assign(self, batch: Batch, identity: str) -> Batch:
        """Write down as whose a batch of `WHOEVER` is sent, from now on."""
        sql = "UPDATE in_flight SET assigned = ? WHERE batch_key = ?"
        self._store.transact(lambda writer: writer.execute(sql, (identity, batch.key)))
        return replace(batch, assigned=identity)

    def release(self, batch: Batch, then: Take | None) -> Taken:
        """Let a batch's rows be taken anew, and take the next, if one is wanted."""

        def release_and_take(writer: sqlite3.Connection) -> Taken:
            self._unmark(writer, batch.key)
            return self._next_if(writer, then)

        return self._store.transact(release_and_take, is_vital=True)

    def halve(self, batch: Batch, then: Take | None) -> Taken:
        """Make two batches of one that was refused as a whole, and take the next.

        Both halves are marked in flight, so that a crash goes on with them.
        """
        middle = (len(batch.rows) + 1) // 2

        def halve_and_take(writer: sqlite3.Connection) -> Taken:
            self._unmark(writer, batch.key)
            for rows in (batch.rows[:middle], batch.rows[middle:]):
                self._mark(writer, Batch(rows, self._key(rows), batch.assigned))
            return self._next_if(writer, then)

        return self._store.transact(halve_and_take, is_vital=True)

    def _next_if(self, writer: sqlite3.Connection, take: Take | None) -> Taken:
        return Taken(None) if take is None else self._next(writer, take)

    def _next(self, writer: sqlite3.Connection, take: Take) -> Taken:
        """Find the next batch whose rows are all intact; bury the damaged on the way."""
        buried = 0
        while rows := _nobodys(writer):
            buried += self._bury(writer, rows)
        while True:
            batch = self._marked(writer, take)
            rows = self._waiting(writer, take) if batch is None else batch.rows
            damaged = [row for row in rows if not row.is_intact]
            if not damaged:
                break
            if batch is not None:
                self._unmark(writer, batch.key)
            buried += self._bury(writer, damaged)
        if batch is None and rows:
            batch = self._make(writer, rows)
        return Taken(batch, buried)

    def _marked(self, writer: sqlite3.Connection, take: Take) -> Batch | None:
        """Read the batch that is in flight; one that lost rows is no longer that batch."""
        found = writer.execute(*_marked_query(take)).fetchone()
        if found is None:
            return None
        first_id, last_id, row_count, key, assigned = found
        tail = " AND _id BETWEEN ? AND ? ORDER BY _id"
        rows = _rows(writer, take.identity, tail, first_id, last_id)
        if len(rows) == row_count:
            return Batch(tuple(rows), key, assigned)
        self._unmark(writer, key)
        return self._marked(writer, take)

    @staticmethod
    def _waiting(writer: sqlite3.Connection, take: Take) -> Sequence[Row]:
        """Read the oldest rows that are in no batch yet, up to the next that is in one."""
        free = writer.execute(*_free_query(take)).fetchone()
        if free is None:
            _check_index(writer, take.identity)
            return []
        (first_id,) = free
        (mark,) = writer.execute(_NEXT_MARK, (take.identity, first_id)).fetchone()
        tail = " AND _id >= ? AND _id < ? ORDER BY _id LIMIT ?"
        rows = _rows(writer, take.identity, tail, first_id, mark or _HIGHEST_ID, take.limit)
        if not rows or rows[0].id != first_id:
            raise _unfindable()
        return _fitting(rows, take.max_bytes) if len(rows) >= take.minimum else []

    def _make(self, writer: sqlite3.Connection, rows: Sequence[Row]) -> Batch:
        """Write down a new batch, with the times of its events as they are known now."""
        now = self._clock.moment()
        rows = [_set_right(writer, row, now) for row in rows]
        batch = Batch(tuple(rows), self._key(rows), is_new=True)
        self._mark(writer, batch)
        return batch

    @staticmethod
    def _mark(writer: sqlite3.Connection, batch: Batch) -> None:
        ids = (batch.first_id, batch.last_id, len(batch.rows))
        writer.execute(_MARK, (*ids, batch.identity, batch.key, batch.assigned))

    def _key(self, rows: Sequence[Row]) -> str:
        """Name the batch by its rows: with the count, since damage may thin them out."""
        return f"{self._key_prefix()}-{rows[0].id}-{rows[-1].id}-{len(rows)}"

    @staticmethod
    def _unmark(writer: sqlite3.Connection, key: str) -> None:
        writer.execute("DELETE FROM in_flight WHERE batch_key = ?", (key,))

    def _bury(self, writer: sqlite3.Connection, damaged: Sequence[Row]) -> int:
        self._delete(writer, damaged)
        bury(writer, damaged, _DAMAGED)
        return len(damaged)

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
    return _MARKED.format(aside=_marks(take.aside)), (take.identity, *take.aside)


def _free_query(take: Take) -> tuple[str, tuple[str]]:
    return _FREE.format(by_index=_BY_INDEX if take.identity else ""), (take.identity,)


def _set_right(writer: sqlite3.Connection, row: Row, now: Moment) -> Row:
    """Correct the time of an event, if the clock was set since it was tracked."""
    wall = corrected(row.moment, now)
    if wall is None:
        return row
    data = retimed(row.data, wall)
    crc = checksum(data, row.identity, row.uptime, row.boot)
    writer.execute(_RETIME, (data, wall, crc, row.id))
    return replace(row, data=data, tracked_at=wall, crc=crc)


def _fitting(rows: list[Row], max_bytes: int | None) -> list[Row]:
    """The first of the rows whose body is no larger; at least one."""
    if max_bytes is None:
        return rows
    room = max_bytes - body_size(())
    with_commas = accumulate(len(row.data) + 1 for row in rows)
    count = sum(1 for size in with_commas if size - 1 <= room)
    return rows[: max(1, count)]


def _rows(writer: sqlite3.Connection, identity: str, tail: str, *parameters: Any) -> list[Row]:  # noqa: ANN401 - SQL parameters
    sql = f"{_SELECT} WHERE identity = ?{_BY_INDEX if identity else ''}{tail}"
    rows = [Row(*found) for found in writer.execute(sql, (identity, *parameters)).fetchall()]
    if any(row.id >= following.id for row, following in pairwise(rows)):
        raise _unfindable()  # and by its id another row would be deleted
    return rows


def _still_there(writer: sqlite3.Connection, rows: Sequence[Row]) -> Sequence[Row]:
    """Those that were not erased meanwhile."""
    sql = f"SELECT _id FROM {QUEUE} WHERE _id IN ({_marks(rows)})"
    there = {found[0] for found in writer.execute(sql, [row.id for row in rows]).fetchall()}
    return [row for row in rows if row.id in there]


def _check_index(writer: sqlite3.Connection, identity: str) -> None:
    """Make sure that the oldest row of all, if it is of that identity, is found by it."""
    first = writer.execute(_FIRST).fetchone()
    if not identity or first is None or first[1] != identity:
        return
    sql = f"SELECT min(_id) FROM {QUEUE} WHERE identity = ?{_BY_INDEX}"
    if writer.execute(sql, (identity,)).fetchone()[0] != first[0]:
        raise _unfindable()


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


def _nobodys(writer: sqlite3.Connection) -> Sequence[Row]:
    """Read the oldest row of all if it is of no identity that anyone could ask for."""
    first = writer.execute(_FIRST).fetchone()
    if first is None or isinstance(first[1], str):
        return []
    found = writer.execute(f"{_SELECT} WHERE _id = ?", first[:1]).fetchall()
    return [Row(*each) for each in found]


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
