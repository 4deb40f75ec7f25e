"""Notes: single values that outlive a process, each by its name, in the table `meta`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segops_durable.outbox.records.schema import SELECT
from segops_durable.outbox.records.seals import DamagedRecordError, is_sealed, put

if TYPE_CHECKING:
    import sqlite3


def read_note(connection: sqlite3.Connection, name: str) -> str | None:
    """What was written down last under a name; None if nothing was.

    Raises:
        DamagedRecordError: It is not what was written.
    """
    return read_notes(connection).get(name)


def read_notes(connection: sqlite3.Connection) -> dict[str, str]:
    """All of them, by name; all are read, as a damaged name is not found by what it says.

    Raises:
        DamagedRecordError: One is not what was written.
    """
    records = connection.execute(SELECT["meta"]).fetchall()
    if not all(is_sealed("meta", record) for record in records):
        raise DamagedRecordError("the notes are not what was written")
    return {str(name): str(value) for name, value, _ in records}


def is_believed(record: tuple[Any, ...]) -> bool:
    """Whether a note is what was written, as far as a file of its version tells.

    Args:
        record: All of its columns; a file of an older version has no seals.
    """
    return len(record) < len(("name", "value", "seal")) or is_sealed("meta", record)


def write_note(writer: sqlite3.Connection, name: str, value: str) -> None:
    """Write something down, within the caller's transaction; what was there gives way."""
    put(writer, "meta", [(name, value)])
