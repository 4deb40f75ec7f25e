"""SQLite's own note of the newest id that it has given in a table; it has no seal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3


def sequences_of(connection: sqlite3.Connection, table: str) -> list[Any]:
    """What is noted of a table: one number, but in a damaged file."""
    sql = "SELECT seq FROM sqlite_sequence WHERE name = ?"
    return [found[0] for found in connection.execute(sql, (table,)).fetchall()]


def set_sequence(writer: sqlite3.Connection, table: str, last: int) -> None:
    """Have the next row of a table follow `last`, within the caller's transaction."""
    writer.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
    writer.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))
