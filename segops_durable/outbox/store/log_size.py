"""Keeps SQLite's log (the ``-wal`` beside the file) small, and says when that cannot be.

SQLite begins the log anew once all of it has been copied into the file and nobody reads it.
A program that keeps it open for reading, a backup or a person with a shell, makes it grow
for as long as it does. Once it has gone, the log is cut to its usual size by the next commit.
It is never cut to nothing: a full disk may have no room for the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.errors import StorageError
from segops_durable.outbox.disk.files import companions

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

USUAL_LOG_BYTES = 1 << 20
"""What the log has at most, where nobody keeps it from being cut."""

_WORTH_TELLING = 2 * USUAL_LOG_BYTES


def log_excess(path: Path) -> int:
    """Bytes of an outbox's log beyond the usual."""
    try:
        size = companions(path)[0].stat().st_size
    except FileNotFoundError:
        return 0
    return max(0, size - USUAL_LOG_BYTES)


def cut_log(writer: sqlite3.Connection) -> None:
    """Cut the log to its usual size, if nobody reads it; outside any transaction."""
    is_busy, frames, copied = writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if not is_busy and frames == copied:
        # a commit begins it anew, and cuts it; this one writes a page, and changes nothing
        (version,) = writer.execute("PRAGMA user_version").fetchone()
        writer.execute(f"PRAGMA user_version = {version:d}")


class LogWatch:
    """Tells once of a log that somebody keeps from being cut, until it is small again.

    Args:
        path: The outbox file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_told = False

    def news(self) -> StorageError | None:
        """What is to be told, after an attempt to cut the log."""
        excess = log_excess(self._path)
        if not excess:
            self._is_told = False
        if self._is_told or excess < _WORTH_TELLING - USUAL_LOG_BYTES:
            return None
        self._is_told = True
        return StorageError(
            f"another program reads {self._path}, whose log grows meanwhile: it has"
            f" {excess + USUAL_LOG_BYTES} bytes",
            path=str(self._path),
            hint="See what reads it (fuser -v), and let it end; read a copy instead",
        )
