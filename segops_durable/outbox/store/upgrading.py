"""Bringing a file of an older version up to date: its tables, and the seals of its records."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING

from segops_durable.outbox.records.notes import is_believed
from segops_durable.outbox.records.schema import (
    LETTERS,
    QUEUE,
    SCHEMA_VERSION,
    SEALED,
    SHARED_VERSION,
    UNSEALED_VERSION,
    UPGRADES,
)
from segops_durable.outbox.records.seals import put, seal_of
from segops_durable.outbox.records.tally import MOST_ID, Tally
from segops_durable.outbox.records.walking import PAGE_ROWS
from segops_durable.outbox.store.boundary import Connection, lenient_text
from segops_durable.outbox.store.mending import mend_numbers

if TYPE_CHECKING:
    from pathlib import Path

_IDENTITY = ("uuid", "anonymous_id", "api_url")
_ALONE = (
    "locking_mode=EXCLUSIVE",
    "synchronous=FULL",
    "fullfsync=1",
    "checkpoint_fullfsync=1",
    "secure_delete=ON",
)


def upgrade(writer: sqlite3.Connection, version: int) -> None:
    """Bring the schema of an older version up to date; 0 is an empty file.

    As far as may be while others have the file open. In one transaction. If it raises, the
    connection is to be closed.
    """
    if version < SHARED_VERSION:
        # a new file is made as it is to be
        _upgrade(writer, version, SHARED_VERSION if version else SCHEMA_VERSION)


def upgrade_alone(path: Path) -> None:
    """Bring a file up to date, if nobody has it open. The caller is behind the write gate.

    A process of an older version that has it open would give ids again. SQLite keeps a lock on
    the file for each that has, and here that of one who wants it alone is tried.
    """
    made = partial(sqlite3.connect, timeout=0, isolation_level=None, factory=Connection)
    with suppress(sqlite3.Error), closing(made(path)) as file:
        file.text_factory = lenient_text
        for setting in _ALONE:
            file.execute(f"PRAGMA {setting}").fetchall()
        version = version_of(file)
        if 0 < version < SCHEMA_VERSION:
            _upgrade(file, version, SCHEMA_VERSION)


def _upgrade(writer: sqlite3.Connection, version: int, to: int) -> None:
    scripts = UPGRADES[version:to] if version else UPGRADES[:SHARED_VERSION]
    writer.executescript(f"BEGIN IMMEDIATE;{''.join(scripts)}")
    if version <= UNSEALED_VERSION:
        _seal_all(writer)
    if to > SHARED_VERSION and _has_sequences(writer):
        writer.execute("DELETE FROM sqlite_sequence")  # or it would be believed later
    put(writer, "meta", [("schema", str(to))])
    writer.execute(f"PRAGMA user_version = {to}")
    writer.execute("COMMIT")


def version_of(reader: sqlite3.Connection) -> int:
    """The schema's version, which is written down twice: in the header a flip goes unnoticed."""
    version: int = reader.execute("PRAGMA user_version").fetchone()[0]
    is_ours = reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
    if is_ours:
        noted = reader.execute("SELECT * FROM meta WHERE name = 'schema'").fetchone()
        if noted is not None and is_believed(noted) and noted[1] != str(version):
            raise sqlite3.DatabaseError(f"malformed header: version {version}, not {noted[1]}")
    elif version:
        raise sqlite3.DatabaseError("malformed schema: it has no meta table")
    return version


def _seal_all(writer: sqlite3.Connection) -> None:
    """Take what a file without seals says for true; its counters as far as the rows bear it."""
    for table in ("in_flight", "checkpoints", "carried"):
        columns = ", ".join(SEALED[table])
        put(writer, table, writer.execute(f"SELECT {columns} FROM {table}").fetchall())
    _seal_notes(writer)
    _seal_letters(writer)
    columns = ", ".join(SEALED["tally"])
    found = writer.execute(f"SELECT {columns} FROM tally WHERE id = 1").fetchone()
    tally = Tally() if found is None else Tally.possible((*found, 0))
    given = {"last_id": _given(writer, QUEUE), "last_letter": _given(writer, LETTERS)}
    mend_numbers(writer, tally._replace(**given))


def _given(writer: sqlite3.Connection, table: str) -> int:
    """The newest id that SQLite has noted of a table; 0 if it notes none."""
    if not _has_sequences(writer):
        return 0
    found = writer.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchall()
    return max((each for (each,) in found if isinstance(each, int) and each <= MOST_ID), default=0)


def _seal_notes(writer: sqlite3.Connection) -> None:
    """Seal the notes; those that say whose the file is had one checksum for all of them."""
    notes = dict(writer.execute("SELECT name, value FROM meta").fetchall())
    check = notes.pop("check", None)
    if check is not None and check != _check_of(notes):
        for name in _IDENTITY:  # left without a seal, they are not believed
            notes.pop(name, None)
    put(writer, "meta", notes.items())
    writer.execute("DELETE FROM meta WHERE name = 'check'")


def _check_of(notes: dict[str, str]) -> str:
    return str(zlib.crc32("\0".join(str(notes.get(name)) for name in _IDENTITY).encode()))


def _seal_letters(writer: sqlite3.Connection) -> None:
    """Seal the dead letters, page by page: there may be many."""
    columns = ", ".join(SEALED[LETTERS])
    select = f"SELECT _id, {columns} FROM {LETTERS} WHERE _id >= ? ORDER BY _id LIMIT {PAGE_ROWS}"
    start = 0
    while page := writer.execute(select, (start,)).fetchall():
        seals = [(seal_of(LETTERS, values), number) for number, *values in page]
        writer.executemany(f"UPDATE {LETTERS} SET seal = ? WHERE _id = ?", seals)
        start = max(start, *(number for number, *_ in page)) + 1


def _has_sequences(writer: sqlite3.Connection) -> bool:
    sql = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"
    return writer.execute(sql).fetchone() is not None
