"""Reading what is left of a damaged outbox.

SQLite gives up on a query at the first page that it cannot read, so a plain scan loses all
that follows. Here the ids are halved until the rows that cannot be read are alone.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from segops_durable.outbox.dead_letters import bury
from segops_durable.outbox.event_queue import ADD_LOST, QUEUE
from segops_durable.outbox.letters import Cause, Letter
from segops_durable.outbox.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNREADABLE = Letter(Cause.DAMAGED, "a stored value is not of its type any more")
_CHUNK_IDS = 1000
_MOST_FAILURES = 20_000
_UNKNOWN_END = 1 << 32
_MESSAGES = (
    "malformed",
    "not a database",
    "no such table",
    "no such column",
    "has no column",
    "unsupported file format",
    "could not decode",
)

_COLUMNS: dict[str, dict[str, tuple[type, ...]]] = {
    QUEUE: {
        "_id": (int,),
        "data": (bytes,),
        "timestamp": (float,),
        "crc": (int,),
        "identity": (str,),
        "uptime": (float, type(None)),
        "boot": (int, type(None)),
    },
    "dead_letters": {
        "_id": (int,),
        "row_id": (int,),
        "data": (bytes,),
        "identity": (str,),
        "tracked_at": (float,),
        "died_at": (float,),
        "reason": (str,),
        "status": (int, type(None)),
        "answer": (str,),
        "cause": (str,),
    },
}

_NOTES = {"checkpoints": "name, position, at", "carried": "source, first_id, last_id"}

_ABSENT = {"uptime": "NULL", "boot": "NULL", "cause": "'skipped'"}
"""What older versions of the schema did not have, and what stands for it."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is at fault, not the disk, the load or the caller.

    By the message: the code of an error has a name only from Python 3.11 on.
    """
    text = str(error).lower()
    return isinstance(error, sqlite3.DatabaseError) and any(each in text for each in _MESSAGES)


@dataclass(frozen=True)
class Salvage:
    """What was read of a damaged outbox.

    Attributes:
        events: Waiting events.
        letters: Dead letters.
        lost: Waiting events that could not be read; None where nothing says how many waited.
    """

    events: int
    letters: int
    lost: int | None


def salvage(source: sqlite3.Connection, target: sqlite3.Connection) -> Salvage:
    """Copy every row that can be read into a new outbox, with its id, in one transaction."""
    source.text_factory = _decoded
    with suppress(sqlite3.Error):
        source.execute("PRAGMA writable_schema = ON")  # lets it open a file that was cut off
    target.execute("BEGIN IMMEDIATE")
    try:
        found = _copy_all(source, target)
    except BaseException:
        target.execute("ROLLBACK")
        raise
    target.execute("COMMIT")
    return found


def _decoded(text: bytes) -> str:
    """Text that is damaged is read all the same: its row's checksum will tell."""
    return text.decode(errors="replace")


def _copy_all(source: sqlite3.Connection, target: sqlite3.Connection) -> Salvage:
    last_ids = {name: _last_id(source, name) for name in _COLUMNS}
    copied = {name: _copy_rows(source, target, name, last_ids[name]) for name in _COLUMNS}
    last_id = last_ids[QUEUE]
    tally = _first(source, "SELECT removed, accepted, last_accepted_at FROM tally")
    lost = None
    _copy_meta(source, target)
    for table, columns in _NOTES.items():
        _copy_notes(source, target, table, columns)
    if last_id is None:
        # an id may be given twice from here on, so the batches' keys must start anew
        target.execute("DELETE FROM meta WHERE name IN ('uuid', 'check')")
    else:
        _copy_marks(source, target)
        _set_last_id(target, last_id)
        if tally is not None and isinstance(tally[0], int):
            lost = max(0, last_id - tally[0] - copied[QUEUE])
    _reckon(target, tally)
    target.execute(ADD_LOST, (lost or 0,))
    return Salvage(copied[QUEUE], copied["dead_letters"], lost)


def _copy_rows(
    source: sqlite3.Connection, target: sqlite3.Connection, table: str, last_id: int | None
) -> int:
    names = ", ".join(_COLUMNS[table])
    types = list(_COLUMNS[table].values())
    select = f"SELECT {_selection(source, table)} FROM {table}"
    again = f"SELECT {names} FROM {table} WHERE _id = ?"
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({','.join('?' * len(types))})"
    count, strays = 0, []
    for row in chain(
        _scanned(source, f"{select} ORDER BY _id"),
        _scanned(source, f"{select} ORDER BY _id DESC"),
        _readable(source, select, last_id or _end_of(source, table)),
    ):
        if not all(map(isinstance, row, types)):
            strays.append(row)
        elif target.execute(insert, row).rowcount:
            count += 1
        elif target.execute(again, row[:1]).fetchone() != row:
            strays.append(row)
    return count + sum(_keep_stray(target, table, row, types) for row in dict.fromkeys(strays))


def _selection(source: sqlite3.Connection, table: str) -> str:
    """The columns of a table, where a file of an older version may not have all of them."""
    return ", ".join(
        name if _compiles(source, f"SELECT {name} FROM {table}") else f"{instead} AS {name}"
        for name, instead in ((each, _ABSENT.get(each, "NULL")) for each in _COLUMNS[table])
    )


def _compiles(source: sqlite3.Connection, sql: str) -> bool:
    try:
        source.execute(f"{sql} LIMIT 0")
    except sqlite3.Error as error:
        return "no such column" not in str(error)
    return True


def _keep_stray(
    target: sqlite3.Connection, table: str, row: tuple[Any, ...], types: list[tuple[type, ...]]
) -> bool:
    """Keep a row that is not what it was, or whose id another has; say if it still waits."""
    if table != QUEUE:
        return False
    if all(map(isinstance, row, types)) and Row(*row).is_intact:
        known = target.execute(f"SELECT 1 FROM {QUEUE} WHERE data = ? LIMIT 1", row[1:2])
        if known.fetchone():  # the same row, read once under an id that is not its own
            return False
        columns = ", ".join(list(_COLUMNS[QUEUE])[1:])
        sql = f"INSERT INTO {QUEUE} ({columns}) VALUES ({','.join('?' * len(row[1:]))})"
        target.execute(sql, row[1:])
        return True
    bury(target, [Row(*row)], _UNREADABLE)
    return False


def _scanned(source: sqlite3.Connection, sql: str) -> Iterator[tuple[Any, ...]]:
    """Yield rows from leaf to leaf, to the first that cannot be read.

    Where an inner page is damaged, this finds rows that a search by their ids does not.
    """
    with suppress(sqlite3.Error, UnicodeDecodeError):
        yield from source.execute(sql)


def _readable(source: sqlite3.Connection, select: str, last_id: int) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that can be read, by halving the ranges of ids that cannot."""
    sql = f"{select} WHERE _id BETWEEN ? AND ? ORDER BY _id"
    ranges = [
        (start, min(start + _CHUNK_IDS - 1, last_id))
        for start in reversed(range(_start_of(source, select), last_id + 1, _CHUNK_IDS))
    ]
    failures = 0
    while ranges and failures < _MOST_FAILURES:
        first, last = ranges.pop()
        try:
            rows = source.execute(sql, (first, last)).fetchall()
        except (sqlite3.Error, UnicodeDecodeError):
            failures += 1
            if first < last:
                middle = (first + last) // 2
                ranges += [(middle + 1, last), (first, middle)]
            continue
        yield from rows


def _start_of(source: sqlite3.Connection, select: str) -> int:
    row = _first(source, f"{select} ORDER BY _id LIMIT 1")
    return row[0] if row is not None and isinstance(row[0], int) else 1


def _end_of(source: sqlite3.Connection, table: str) -> int:
    row = _first(source, f"SELECT max(_id) FROM {table}")
    return row[0] if row is not None and isinstance(row[0], int) else 0


def _last_id(source: sqlite3.Connection, table: str) -> int | None:
    row = _first(source, "SELECT seq FROM sqlite_sequence WHERE name = ?", table)
    known = row[0] if row is not None and isinstance(row[0], int) else None
    return known if known is None or 0 <= known < _UNKNOWN_END else None


def _copy_meta(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        rows = source.execute("SELECT name, value FROM meta").fetchall()
        target.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)


def _copy_notes(
    source: sqlite3.Connection, target: sqlite3.Connection, table: str, columns: str
) -> None:
    """Copy the rows of a small table, to the first that cannot be read."""
    marks = ",".join("?" * len(columns.split(",")))
    for row in _scanned(source, f"SELECT {columns} FROM {table}"):
        with suppress(sqlite3.Error):
            target.execute(f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})", row)


def _copy_marks(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    columns = "first_id, last_id, row_count, identity, batch_key, assigned"
    is_old = not _compiles(source, "SELECT assigned FROM in_flight")
    with suppress(sqlite3.Error):
        found = columns.replace("assigned", "''") if is_old else columns
        rows = source.execute(f"SELECT {found} FROM in_flight").fetchall()
        target.executemany(f"INSERT INTO in_flight ({columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)


def _set_last_id(target: sqlite3.Connection, last_id: int) -> None:
    changed = target.execute(
        "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (last_id, QUEUE)
    )
    if not changed.rowcount:
        target.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (QUEUE, last_id))


def _reckon(target: sqlite3.Connection, tally: tuple[Any, ...] | None) -> None:
    """Make the counters fit the rows that are there."""
    target.execute(
        f"UPDATE tally SET removed = coalesce((SELECT seq FROM sqlite_sequence"
        f" WHERE name = '{QUEUE}'), 0) - (SELECT count(*) FROM {QUEUE})"
    )
    if tally is not None and isinstance(tally[1], int):
        target.execute("UPDATE tally SET accepted = ?, last_accepted_at = ?", tally[1:])


def _first(source: sqlite3.Connection, sql: str, *parameters: Any) -> tuple[Any, ...] | None:  # noqa: ANN401 - SQL parameters
    try:
        row: tuple[Any, ...] | None = source.execute(sql, parameters).fetchone()
    except (sqlite3.Error, UnicodeDecodeError):
        return None
    return row
