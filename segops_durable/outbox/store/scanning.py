"""Looking for damage without touching the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segops_durable.outbox.records.incidents import noted_incidents
from segops_durable.outbox.records.rows import Row
from segops_durable.outbox.records.schema import LETTERS, SELECT, SELECT_LETTERS, SELECT_ROWS
from segops_durable.outbox.records.seals import is_sealed, put_as_found
from segops_durable.outbox.store.boundary import open_read_only

if TYPE_CHECKING:
    from pathlib import Path

_SELECT = f"{SELECT_ROWS} ORDER BY _id"


@dataclass(frozen=True)
class DamagedRecords:
    """Records that are not what was written, and that nothing can be derived from.

    Attributes:
        letters: The numbers of dead letters.
        jobs: What the checkpoints of jobs are called, as far as that can be read.
        loaded: From which outboxes files were loaded, likewise.
    """

    letters: tuple[int, ...] = ()
    jobs: tuple[str, ...] = ()
    loaded: tuple[str, ...] = ()


def scan_records(path: Path) -> DamagedRecords:
    """Find what `Outbox.give_up_damaged`, or the user, has to decide on.

    Raises:
        sqlite3.Error: It cannot be read to its end, or is of an older version.
    """
    with closing(open_read_only(path)) as file:
        letters = file.execute(f"{SELECT_LETTERS} ORDER BY _id")
        return DamagedRecords(
            tuple(number for number, *record in letters if not is_sealed(LETTERS, record)),
            damaged_names(file, "checkpoints"),
            damaged_names(file, "carried"),
        )


def finished_copies(path: Path) -> set[str]:
    """The names of the files that were set aside and are known to have been read to their end.

    An older version noted none; and what it had set aside it may not have finished.
    """
    try:
        with closing(open_read_only(path)) as file:
            return {each.aside for each in noted_incidents(file)}
    except sqlite3.Error:
        return set()


def damaged_names(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """What the damaged records of a small table are called."""
    records = connection.execute(SELECT[table]).fetchall()
    return tuple(str(record[0]) for record in records if not is_sealed(table, record))


def give_up_damaged(writer: sqlite3.Connection) -> DamagedRecords:
    """Remove damaged checkpoints, and notes of what was loaded, within a transaction."""
    found = DamagedRecords(
        jobs=damaged_names(writer, "checkpoints"), loaded=damaged_names(writer, "carried")
    )
    for table, names in (("checkpoints", found.jobs), ("carried", found.loaded)):
        if names:
            records = writer.execute(SELECT[table]).fetchall()
            writer.execute(f"DELETE FROM {table}")  # a damaged name is not found by what it says
            put_as_found(writer, table, [each for each in records if is_sealed(table, each)])
    return found


def scan(path: Path) -> tuple[int, int, str]:
    """Check a file: SQLite's own check, then the checksum of every waiting event.

    Returns:
        How many events wait, how many of them are not what was stored, and what is wrong
        with the file itself; empty if nothing is.

    Raises:
        sqlite3.Error: It cannot be read to its end.
    """
    with closing(open_read_only(path)) as file:
        found = [row[0] for row in file.execute("PRAGMA quick_check(3)").fetchall()]
        rows = altered = 0
        for row in file.execute(_SELECT):
            rows += 1
            altered += not Row.of(row).is_intact
    return rows, altered, "" if found == ["ok"] else "; ".join(found)
