"""How much an outbox may hold, and what gives way when it is full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segops_durable.errors import QueueFullError
from segops_durable.outbox.records.schema import IS_FREE, QUEUE
from segops_durable.outbox.records.tally import Recount, standing
from segops_durable.outbox.removal import delete_by_ids
from segops_durable.outbox.store.log_size import log_excess

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from segops_durable.outbox.records.rows import NewRowValues

_ROW_BYTES = 64
"""About what a row costs beside its event."""

_OLDEST = f"SELECT _id, length(data) FROM {QUEUE} AS row WHERE {IS_FREE} ORDER BY _id LIMIT ?"
_CHUNK_ROWS = 256


@dataclass(frozen=True)
class Caps:
    """What an outbox may hold.

    Attributes:
        max_events: Waiting events at most; None for no limit.
        max_bytes: Bytes of the file in use at most, dead letters included, and what its log has
            beyond the usual; None for no limit.
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

    def admit(
        self, writer: sqlite3.Connection, rows: Sequence[NewRowValues], path: Path, recount: Recount
    ) -> None:
        """Make sure that there is room for rows, within the caller's transaction.

        Raises:
            QueueFullError: There is not, and nothing may give way.
            sqlite3.DatabaseError: The count of what waits was wrong.
        """
        size = sum(len(data) + _ROW_BYTES for data, *_ in rows)
        if self._can_never_hold(len(rows), size) or self._is_full_with_log(writer, size, path):
            raise self._full(writer, path)
        while True:
            events, used = self._missing(writer, len(rows), size)
            if events <= 0 and used <= 0:
                return
            if events > 0:
                # a flipped bit in an id makes the count wrong: the rows are counted
                # before any event is refused, or any of the oldest dropped, for it
                recount.verify(writer)
            if not self.drops_oldest or not _drop(writer, events, used):
                raise self._full(writer, path)

    def _can_never_hold(self, count: int, size: int) -> bool:
        is_many = self.max_events is not None and count > self.max_events
        return is_many or (self.max_bytes is not None and size > self.max_bytes)

    def _is_full_with_log(self, writer: sqlite3.Connection, size: int, path: Path) -> bool:
        """Whether the log takes what is left; nothing gives way for that: it would only grow."""
        excess = 0 if self.max_bytes is None else log_excess(path)
        return bool(excess) and _used_bytes(writer) + excess + size > (self.max_bytes or 0)

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
        excess = log_excess(path)
        if excess:
            holds += f", and {excess} bytes of a log that another program keeps in use"
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
    before = standing(writer)
    wanted = _CHUNK_ROWS if size > 0 else min(events, _CHUNK_ROWS)
    chosen: list[int] = []
    for row_id, length in writer.execute(_OLDEST, (wanted,)).fetchall():
        chosen.append(row_id)
        size -= (length or 0) + _ROW_BYTES
        if len(chosen) >= events and size <= 0:
            break
    removed = delete_by_ids(writer, QUEUE, chosen)
    before.record(writer, removed=removed, dropped=removed)
    return bool(chosen)


def _waiting(writer: sqlite3.Connection) -> int:
    return standing(writer).pending


def _used_bytes(writer: sqlite3.Connection) -> int:
    pages, free, size = (
        int(writer.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size
