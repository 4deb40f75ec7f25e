"""How much an outbox may hold, and what gives way when it is full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segops_durable.errors import QueueFullError
from segops_durable.outbox.event_queue import IS_FREE, LAST_ID, QUEUE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from segops_durable.outbox.rows import NewRow

_ROW_BYTES = 64
"""About what a row costs beside its event."""

_OLDEST = f"SELECT _id, length(data) FROM {QUEUE} AS row WHERE {IS_FREE} ORDER BY _id LIMIT ?"
_CHUNK_ROWS = 256


@dataclass(frozen=True)
class Caps:
    """What an outbox may hold.

    Attributes:
        max_events: Waiting events at most; None for no limit.
        max_bytes: Bytes of the file in use at most, dead letters included; None for no limit.
        drops_oldest: Whether the oldest events give way to new ones. Those of a batch that is
            in flight never do.
    """

    max_events: int | None = None
    max_bytes: int | None = None
    drops_oldest: bool = False

    @property
    def are_set(self) -> bool:
        """Whether there is any limit."""
        return self.max_events is not None or self.max_bytes is not None

    def admit(self, writer: sqlite3.Connection, rows: Sequence[NewRow], path: Path) -> None:
        """Make sure that there is room for rows, within the caller's transaction.

        Raises:
            QueueFullError: There is not, and nothing may give way.
        """
        size = sum(len(row.data) + _ROW_BYTES for row in rows)
        if self._can_never_hold(len(rows), size):
            raise self._full(writer, path)
        while True:
            events, used = self._missing(writer, len(rows), size)
            if events <= 0 and used <= 0:
                return
            if not self.drops_oldest or not _drop(writer, events, used):
                raise self._full(writer, path)

    def _can_never_hold(self, count: int, size: int) -> bool:
        is_many = self.max_events is not None and count > self.max_events
        return is_many or (self.max_bytes is not None and size > self.max_bytes)

    def _missing(self, writer: sqlite3.Connection, count: int, size: int) -> tuple[int, int]:
        """By how many events, and by how many bytes, there is too little room."""
        events = used = 0
        if self.max_events is not None:
            events = _waiting(writer) + count - self.max_events
        if self.max_bytes is not None:
            used = _used_bytes(writer) + size - self.max_bytes
        return events, used

    def _full(self, writer: sqlite3.Connection, path: Path) -> QueueFullError:
        holds = f"{_waiting(writer)} events in {_used_bytes(writer)} bytes"
        limits = ", ".join(
            f"{name}={value}"
            for name, value in (
                ("max_queue_events", self.max_events),
                ("max_queue_bytes", self.max_bytes),
            )
            if value is not None
        )
        return QueueFullError(
            f"the outbox {path} is full: it holds {holds}, with {limits}",
            path=str(path),
            hint="Events are sent, and make room, once SegOps can be reached",
        )


NO_CAPS = Caps()


def _drop(writer: sqlite3.Connection, events: int, size: int) -> bool:
    """Delete some of the oldest rows; say whether there were any."""
    wanted = _CHUNK_ROWS if size > 0 else min(events, _CHUNK_ROWS)
    chosen = []
    for row_id, length in writer.execute(_OLDEST, (wanted,)).fetchall():
        chosen.append((row_id,))
        size -= length + _ROW_BYTES
        if len(chosen) >= events and size <= 0:
            break
    writer.executemany(f"DELETE FROM {QUEUE} WHERE _id = ?", chosen)
    writer.execute(
        "UPDATE tally SET removed = removed + ?, dropped = dropped + ?", [len(chosen)] * 2
    )
    return bool(chosen)


def _waiting(writer: sqlite3.Connection) -> int:
    sql = f"SELECT ({LAST_ID}) - removed FROM tally"
    count: int = writer.execute(sql).fetchone()[0]
    return count


def _used_bytes(writer: sqlite3.Connection) -> int:
    pages, free, size = (
        int(writer.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size
