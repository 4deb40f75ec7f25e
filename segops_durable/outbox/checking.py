"""Looking for damage without touching the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from segops_durable.outbox.event_queue import QUEUE
from segops_durable.outbox.rows import Row

if TYPE_CHECKING:
    from pathlib import Path

_SELECT = f"SELECT _id, data, timestamp, crc, identity, uptime, boot FROM {QUEUE} ORDER BY _id"


def scan(path: Path) -> tuple[int, int, str]:
    """Check a file: SQLite's own check, then the checksum of every waiting event.

    Returns:
        How many events wait, how many of them are not what was stored, and what is wrong
        with the file itself; empty if nothing is.

    Raises:
        sqlite3.Error: It cannot be read to its end.
    """
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as file:
        found = [row[0] for row in file.execute("PRAGMA quick_check(3)").fetchall()]
        rows = altered = 0
        for row in file.execute(_SELECT):
            rows += 1
            altered += not Row(*row).is_intact
    return rows, altered, "" if found == ["ok"] else "; ".join(found)
