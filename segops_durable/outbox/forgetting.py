"""Erasing what waits of one person, so that it cannot be read from the disk any more."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from segops_durable.errors import StorageError
from segops_durable.events import encode_text
from segops_durable.identity import WHOEVER, identities_of
from segops_durable.outbox.event_queue import QUEUE
from segops_durable.outbox.files import damaged_copies
from segops_durable.outbox.letters import read_event

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from segops_durable.outbox.store import Store

    IsTheirs = Callable[[int, object, object], bool]

_log = logging.getLogger("segops_durable")

_PAGE_ROWS = 500
_ASSIGNED = "SELECT first_id, last_id FROM in_flight WHERE assigned IN (?, ?)"
_UNMARK = "DELETE FROM in_flight WHERE identity IN (?, ?) OR assigned IN (?, ?)"


def forget(store: Store, name: str) -> int:
    """Erase the waiting events and dead letters of a person; return how many there were.

    Theirs is what was tracked while they used the device, and every event that names them as
    its user. SQLite overwrites what is deleted (``secure_delete``), and its log, which has
    older copies, is cut.

    Args:
        store: The open outbox file.
        name: A user id, or a visitor's anonymous id.

    Raises:
        StorageError: It cannot be written, or another process keeps the log in use.
    """
    identities = identities_of(name)
    ranges = store.read(_ASSIGNED, identities)
    count = _erase(store, QUEUE, _tell(name, ranges), _count_removed)
    # letters have ids of their own, and are in no batch
    count += _erase(store, "dead_letters", _tell(name, ()), lambda _writer, _count: None)
    store.transact(lambda writer: writer.execute(_UNMARK, identities * 2))
    _cut_log(store)
    copies = damaged_copies(store.path)
    if copies:
        names = ", ".join(each.name for each in copies)
        _log.warning("what was erased may still be in files that were set aside: %s", names)
    return count


def _tell(name: str, ranges: Sequence[tuple[int, int]]) -> IsTheirs:
    """Make what tells whether a row, of an id, bytes and an identity, is that person's."""
    identities = identities_of(name)
    needle = encode_text(name)

    def is_theirs(row_id: int, data: object, identity: object) -> bool:
        if identity in identities:
            return True
        if identity == WHOEVER and any(first <= row_id <= last for first, last in ranges):
            return True
        if not isinstance(data, bytes) or needle not in data:
            return False
        event = read_event(data)
        return event is not None and event.get("user_id") == name

    return is_theirs


def _erase(
    store: Store,
    table: str,
    is_theirs: IsTheirs,
    also: Callable[[sqlite3.Connection, int], None],
) -> int:
    """Delete rows page by page, so that nobody waits long; return how many."""
    sql = f"SELECT _id, data, identity FROM {table} WHERE _id > ? ORDER BY _id LIMIT ?"
    after = erased = 0
    while page := store.read(sql, (after, _PAGE_ROWS)):
        after = page[-1][0]
        theirs = [row[:1] for row in page if is_theirs(*row)]

        def delete(writer: sqlite3.Connection, ids: list[tuple[int]] = theirs) -> int:
            removed = writer.executemany(f"DELETE FROM {table} WHERE _id = ?", ids).rowcount
            also(writer, removed)
            return removed

        if theirs:
            erased += store.transact(delete)
    return erased


def _count_removed(writer: sqlite3.Connection, count: int) -> None:
    writer.execute("UPDATE tally SET removed = removed + ?", (count,))


def _cut_log(store: Store) -> None:
    """Cut SQLite's log to nothing: it still has the pages as they were before."""
    is_busy = store.write(
        lambda queue: queue.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    )
    if is_busy:
        raise StorageError(
            f"the events were erased, but the log of {store.path} is in use and keeps copies",
            path=str(store.path),
            hint="Call forget again once no other process reads it",
        )
