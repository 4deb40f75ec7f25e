"""The waiting events of a damaged outbox, put into a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segops_durable.outbox.disk.pages import TABLE_LEAF
from segops_durable.outbox.records.burial import bury
from segops_durable.outbox.records.lanes import allow_lanes_found
from segops_durable.outbox.records.letters import Cause, Letter
from segops_durable.outbox.records.rows import Row
from segops_durable.outbox.records.schema import INSERT_ROW_AS, QUEUE, ROW, SELECT_ROWS
from segops_durable.outbox.records.tally import follow_id

if TYPE_CHECKING:
    import sqlite3

    from segops_durable.outbox.disk.pages import Record

_UNREADABLE = Letter(Cause.DAMAGED, "a stored value is not what it was")
_COLUMNS = len(("_id", *ROW))
_COLUMNS_ONCE = _COLUMNS - len(("uptime", "boot"))  # before rows had an uptime and a boot
_HIGHEST_ID = 1 << 53


class Rows:
    """Takes records as they are found, and decides in the end what is to be done with them.

    Args:
        target: The new outbox, within a transaction.

    Attributes:
        count: How many rows are in the new outbox.
    """

    def __init__(self, target: sqlite3.Connection) -> None:
        self.count: int = 0
        self._target = target
        self._strays: list[Row] = []  # whole, but their id is another's, or none
        self._doubtful: list[Row] = []  # whole, but they may have been sent
        self._damaged: dict[int, Row] = {}

    def add(self, record: Record) -> bool:
        """Take a record, if it is a row's; say whether it is."""
        row = as_row(record)
        if row is None:
            return False
        if not row.is_intact:
            if record.is_current:
                self._damaged[row.id] = row
        elif not record.is_current:
            self._doubtful.append(row)
        elif not self._insert(row):
            self._strays.append(row)
        return True

    def is_short_of(self, waiting: int) -> bool:
        """Whether rows are missing, or damaged, of so many that there should be."""
        return bool(self._damaged) or self.count + len(self._strays) < waiting

    def has_up_to(self, last_id: int) -> bool:
        """Whether a row of that id or an older one waits, damaged or not."""
        sql = f"SELECT 1 FROM {QUEUE} WHERE _id <= ? LIMIT 1"
        is_there = self._target.execute(sql, (last_id,)).fetchone() is not None
        return is_there or any(number <= last_id for number in self._damaged)

    def last_id(self, known: int) -> int:
        """The newest id ever given, where that is known to be so much at least.

        Rows beyond it may be newer, one after the other; one that is far away has a damaged id.
        """
        sql = f"SELECT count(*), coalesce(max(_id), 0) FROM {QUEUE} WHERE _id > ?"
        count, highest = self._target.execute(sql, (known,)).fetchone()
        return max(known, highest) if 2 * count >= highest - known else known

    def settle(self, last_id: int | None, waiting: int | None) -> int:
        """Find places for the rest; return how many damaged rows became dead letters.

        Args:
            last_id: The newest id ever given; None if that is unknown.
            waiting: How many rows there should be; None if that is unknown.
        """
        if last_id is not None:
            self._move_beyond(last_id)
        if self._strays or self._doubtful:
            self._target.execute(f"CREATE INDEX salvaged ON {QUEUE} (crc)")
            self._place(waiting)
            self._target.execute("DROP INDEX salvaged")
        allow_lanes_found(self._target)
        damaged = [row for row in self._damaged.values() if not self._has_id(row.id)]
        bury(self._target, damaged, _UNREADABLE)
        return len(damaged)

    def _place(self, waiting: int | None) -> None:
        for row in self._strays:
            if not self._has(row):
                self._insert_anew(row)
        doubtful = sorted(self._doubtful, key=lambda row: row.id, reverse=True)
        for row in doubtful:
            if row.id in self._damaged:  # what is damaged there is whole here
                self._insert_if_new(row)
        oldest = self._lowest_id()
        left = sum(1 for number in self._damaged if not self._has_id(number))
        for row in doubtful:
            # the newest first: what has left the queue was the oldest
            is_old = row.id < oldest
            is_missing = not is_old if waiting is None else self.count + left < waiting
            if is_missing:
                self._insert_if_new(row)

    def _insert_if_new(self, row: Row) -> None:
        if 0 < row.id < _HIGHEST_ID and self._has_id(row.id):
            return  # what is there is newer
        if not self._has(row) and not self._insert(row):
            self._insert_anew(row)

    def _insert(self, row: Row) -> bool:
        """Insert a row with its id; say whether it is there now."""
        if not 0 < row.id < _HIGHEST_ID:
            return False
        if self._target.execute(INSERT_ROW_AS, row).rowcount:
            self.count += 1
            return True
        known = self._target.execute(f"SELECT crc, data FROM {QUEUE} WHERE _id = ?", (row.id,))
        return bool(known.fetchone() == (row.crc, row.data))

    def _insert_anew(self, row: Row) -> None:
        self._target.execute(INSERT_ROW_AS, (None, *row[1:]))
        self.count += 1

    def _move_beyond(self, last_id: int) -> None:
        """Let rows whose ids were never given have new ones, and have the next follow."""
        beyond = self._target.execute(f"{SELECT_ROWS} WHERE _id > ?", (last_id,)).fetchall()
        self._target.execute(f"DELETE FROM {QUEUE} WHERE _id > ?", (last_id,))
        self.count -= len(beyond)
        self._strays += [Row(None, *each[1:]) for each in beyond]  # type: ignore[arg-type]
        follow_id(self._target, last_id)

    def _has(self, row: Row) -> bool:
        sql = f"SELECT 1 FROM {QUEUE} WHERE crc = ? AND data = ?"
        return bool(self._target.execute(sql, (row.crc, row.data)).fetchone())

    def _has_id(self, number: int) -> bool:
        sql = f"SELECT 1 FROM {QUEUE} WHERE _id = ?"
        return bool(self._target.execute(sql, (number,)).fetchone())

    def _lowest_id(self) -> int:
        found: int = self._target.execute(f"SELECT coalesce(min(_id), 0) FROM {QUEUE}").fetchone()[
            0
        ]
        return found


def as_row(record: Record) -> Row | None:
    """Make a row of a record that is one, damaged or not."""
    columns: Any = record.values
    if record.kind != TABLE_LEAF or len(columns) not in {_COLUMNS, _COLUMNS_ONCE}:
        return None
    nothing, data, timestamp, crc, identity, *stamp = columns
    looks = isinstance(data, bytes), isinstance(crc, int), isinstance(identity, str)
    if nothing is not None or sum(looks) < len(looks) - 1 or isinstance(data, int):
        return None
    uptime, boot = stamp or (None, None)
    return Row.of((record.row_id or 0, data, _real(timestamp), crc, identity, _real(uptime), boot))


def _real(value: Any) -> Any:  # noqa: ANN401 - whatever the file holds
    """A number of a column of floats: SQLite stores whole ones as integers."""
    return float(value) if isinstance(value, int) else value
