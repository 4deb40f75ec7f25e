"""Bringing a file of an older version up to date: its tables, and the seals of its records."""

from __future__ import annotations

import sqlite3
import zlib

from segops_durable.outbox.records.notes import is_believed
from segops_durable.outbox.records.schema import (
    LETTERS,
    SCHEMA_VERSION,
    SEALED,
    UNSEALED_VERSION,
    UPGRADES,
)
from segops_durable.outbox.records.seals import put, seal_of
from segops_durable.outbox.records.tally import Tally
from segops_durable.outbox.records.walking import PAGE_ROWS
from segops_durable.outbox.store.mending import mend_numbers

_IDENTITY = ("uuid", "anonymous_id", "api_url")


def upgrade(writer: sqlite3.Connection, version: int) -> None:
    """Make the newest version of the schema out of an older one; 0 is an empty file.

    In one transaction. If it raises, the connection is to be closed.
    """
    if version == SCHEMA_VERSION:
        return
    writer.executescript(f"BEGIN IMMEDIATE;{''.join(UPGRADES[version:])}")
    if version <= UNSEALED_VERSION:
        _seal_all(writer)
    put(writer, "meta", [("schema", str(SCHEMA_VERSION))])
    writer.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
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
    mend_numbers(writer, Tally() if found is None else Tally.possible((*found, 0)))


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
