"""The counters of an outbox: what was given, removed, accepted, dropped and lost, ever.

How many events wait is not counted but follows: of the ids that were ever given, those whose
rows were removed are gone. So appending writes no counter, and looking costs the same however
many wait. The newest id ever given is the largest that is there, or that was removed, which the
tally knows; outside the file the ledger knows it as well.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.outbox.records.schema import COLUMNS, LETTERS, QUEUE, SEALED
from segops_durable.outbox.records.seals import DamagedRecordError, is_sealed, seal_of
from segops_durable.outbox.records.typed import is_time

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

MOST_ID = 1 << 48
"""No outbox gives more ids: a million a second for nine years."""

FROM_TALLY = "FROM (SELECT 1) LEFT JOIN tally ON tally.id = 1"
"""One record of the tally, of NULLs where there is none."""

_TALLY_COLUMNS = len(SEALED["tally"]) + 1  # with the seal
_STAND = f"""
SELECT {COLUMNS["tally"]},
    (SELECT min(_id) FROM {QUEUE}),
    (SELECT max(_id) FROM {QUEUE}),
    (SELECT min(_id) FROM {LETTERS}),
    (SELECT max(_id) FROM {LETTERS})
{FROM_TALLY}
"""
_WRITE = f"""
INSERT OR REPLACE INTO tally (id, {COLUMNS["tally"]}) VALUES (1{", ?" * _TALLY_COLUMNS})
"""
_UPDATE = f"UPDATE tally SET {', '.join(f'{each} = ?' for each in (*SEALED['tally'], 'seal'))}"
_PAUSE_SECONDS, _PAUSE_FACTOR = 1.0, 100.0


class Tally(NamedTuple):
    """The counters, in the order of their columns.

    Attributes:
        removed: Of the ids that were ever given, those whose rows are gone.
        accepted: Events that SegOps has accepted.
        dropped: Events that gave way to new ones.
        lost: Waiting events that the disk has taken, as far as it is known.
        last_accepted_at: Unix time in seconds of the last acceptance.
        last_id: The newest id that was ever given, as of the last removal.
        last_letter: The same for dead letters.
    """

    removed: int = 0
    accepted: int = 0
    dropped: int = 0
    lost: int = 0
    last_accepted_at: float | None = None
    last_id: int = 0
    last_letter: int = 0

    @classmethod
    def of(cls, record: Sequence[Any]) -> Tally | None:
        """Read a record of the table; None if it is not what was written."""
        return cls(*record[:-1]) if is_sealed("tally", record) and _is_possible(record) else None

    @classmethod
    def possible(cls, record: Sequence[Any]) -> Tally:
        """What can be taken from a record that is not believed."""
        *values, _seal = record
        at = values.pop(4)
        counts = [each if isinstance(each, int) and 0 <= each <= MOST_ID else 0 for each in values]
        removed, accepted, dropped, lost, last_id, last_letter = counts
        known = at if is_time(at) else None
        return cls(removed, accepted, dropped, lost, known, last_id, last_letter)

    def fitted(self, count: int, last_id: int, last_letter: int) -> Tally:
        """The same, made to fit what is there: no more can have left than ids are gone.

        Args:
            count: Rows that wait.
            last_id: The newest id ever given to one.
            last_letter: The same for dead letters.
        """
        removed = last_id - count
        accepted = min(self.accepted, removed)
        dropped = min(self.dropped, removed - accepted)
        lost = min(self.lost, removed - accepted - dropped)
        at = self.last_accepted_at
        return Tally(removed, accepted, dropped, lost, at, last_id, last_letter)

    def write_anew(self, writer: sqlite3.Connection) -> None:
        """Write it down, sealed, in the place of whatever is there, in the caller's transaction."""
        writer.execute("DELETE FROM tally")
        writer.execute(_WRITE, (*self, seal_of("tally", self)))


def _is_possible(record: Sequence[Any]) -> bool:
    """Whether the values are of their types, and in their ranges."""
    removed, accepted, dropped, lost, at, last_id, last_letter, _seal = record
    return (at is None or is_time(at)) and all(
        type(each) is int and 0 <= each <= MOST_ID
        for each in (removed, accepted, dropped, lost, last_id, last_letter)
    )


class Numbers(NamedTuple):
    """Which ids a table has given.

    Attributes:
        oldest: The smallest id that is there.
        newest: The largest id that is there.
    """

    oldest: int | None
    newest: int | None

    def last(self, noted: int) -> int:
        """The newest id ever given.

        Raises:
            DamagedRecordError: A row has one that none can have.
        """
        last = max(noted, self.newest or 0)
        if last > MOST_ID or (self.oldest is not None and self.oldest < 1):
            raise DamagedRecordError("a row has a number that was never given")
        return last


class Standing(NamedTuple):
    """The counters, verified, and what follows from them.

    Attributes:
        tally: The counters.
        last_id: The newest id ever given to a row.
        last_letter: The newest id ever given to a dead letter.
    """

    tally: Tally
    last_id: int
    last_letter: int

    @property
    def pending(self) -> int:
        """How many events wait."""
        return self.last_id - self.tally.removed

    def record(
        self,
        writer: sqlite3.Connection,
        *,
        removed: int = 0,
        accepted: int = 0,
        dropped: int = 0,
        accepted_at: float | None = None,
    ) -> None:
        """Write down what was removed since, and the newest ids: they are never given again."""
        known = self.tally
        tally = Tally(
            known.removed + removed,
            known.accepted + accepted,
            known.dropped + dropped,
            known.lost,
            known.last_accepted_at if accepted_at is None else accepted_at,
            self.last_id,
            self.last_letter,
        )
        writer.execute(_UPDATE, (*tally, seal_of("tally", tally)))


def standing(connection: sqlite3.Connection) -> Standing:
    """Read the counters, in constant time.

    Raises:
        DamagedRecordError: They cannot be believed, or do not fit the rows.
    """
    found = connection.execute(_STAND).fetchone()
    tally = Tally.of(found[:_TALLY_COLUMNS])
    if tally is None:
        raise DamagedRecordError("the tally is not what was written")
    rows, letters = Numbers(*found[-4:-2]), Numbers(*found[-2:])
    stand = Standing(tally, rows.last(tally.last_id), letters.last(tally.last_letter))
    if rows.newest is None or rows.oldest is None:
        most = least = 0
    else:
        most, least = rows.newest - rows.oldest + 1, 1
    if not least <= stand.pending <= most:
        raise DamagedRecordError("the tally does not fit the rows")
    return stand


def count_rows(connection: sqlite3.Connection) -> int:
    """How many rows wait, by counting them: the cost grows with them."""
    count: int = connection.execute(f"SELECT count(*) FROM {QUEUE}").fetchone()[0]
    return count


def newest_id(connection: sqlite3.Connection, table: str) -> int:
    """The newest id that was given in a table, as far as the file says."""
    column = "last_id" if table == QUEUE else "last_letter"
    sql = f"SELECT max(coalesce((SELECT max(_id) FROM {table}), 0), {column}) FROM tally"
    newest: int = connection.execute(sql).fetchone()[0]
    return newest


def follow_id(writer: sqlite3.Connection, last_id: int) -> None:
    """Have the next row follow an id, in a new file whose tally is not written yet."""
    writer.execute("UPDATE tally SET last_id = ?", (last_id,))


class Recount:
    """Counts the rows that wait, all of them, where much depends on it; seldom enough.

    What only the rows themselves can tell is an id that was damaged while it was in use.
    """

    def __init__(self) -> None:
        self._not_before = 0.0

    def verify(self, writer: sqlite3.Connection) -> None:
        """Compare with the counters, unless that was done a short while ago.

        Raises:
            DamagedRecordError: Another number of rows waits.
        """
        start = time.monotonic()
        if start < self._not_before:
            return
        if count_rows(writer) != standing(writer).pending:
            raise DamagedRecordError("the tally does not fit the rows")
        end = time.monotonic()
        self._not_before = end + max(_PAUSE_SECONDS, _PAUSE_FACTOR * (end - start))


def tally_record(connection: sqlite3.Connection) -> tuple[Any, ...]:
    """The counters as they are in the file, whatever they say."""
    sql = f"SELECT {COLUMNS['tally']} {FROM_TALLY}"
    record: tuple[Any, ...] = connection.execute(sql).fetchone()
    return record
