"""Erasing what waits of one person, so that it cannot be read from the disk any more."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

from segops_durable.errors import StorageError
from segops_durable.errors.plain_text import visible
from segops_durable.events import encode_text
from segops_durable.identity import (
    NO_IDENTITY,
    WHOEVER,
    identities_of,
    identity_in,
    is_of,
    lanes_of,
)
from segops_durable.outbox.disk.files import damaged_copies
from segops_durable.outbox.records.letters import read_event
from segops_durable.outbox.records.marks import Mark, assigned_marks
from segops_durable.outbox.records.notes import write_note
from segops_durable.outbox.records.schema import LETTERS, QUEUE
from segops_durable.outbox.records.tally import standing
from segops_durable.outbox.records.walking import (
    HIGHEST_ID,
    LOWEST_ID,
    page_sql,
    read_page,
)
from segops_durable.outbox.removal import delete_by_ids

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from segops_durable.outbox.store.store import Store

    IsTheirs = Callable[[int, object, object], bool]

_log = logging.getLogger("segops_durable")

_ERASURE = "erasure"
_NEWEST = "SELECT value FROM meta WHERE name = ?"
_UNMARK = "DELETE FROM in_flight WHERE identity = ? OR assigned = ?"


class Erasure:
    """Erases what waits of a person; any process may.

    Args:
        store: The open outbox file.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def forget(self, name: str) -> int:
        """Erase the waiting events and dead letters of a person; return how many there were.

        Theirs is what was tracked while they used the device, and every event that names them
        as its user or, under a secret key, its visitor. SQLite overwrites what is deleted
        (``secure_delete``), and its log, which has older copies, is cut.

        Args:
            name: A user id, or a visitor's anonymous id.

        Raises:
            StorageError: The file cannot be written, or another process keeps its log in use;
                then some of it may still be on disk.
        """
        store = self._store
        identities = identities_of(name)
        marks = [each for each in store.look(assigned_marks) if each.assigned in identities]
        count = _erase(store, QUEUE, _tell(name, marks))
        count += _erase(store, LETTERS, _tell(name, ()))  # they have ids of their own: in no batch

        def finish(writer: sqlite3.Connection) -> None:
            lanes = [(lane, each) for each in identities for lane in lanes_of(each)]
            writer.executemany(_UNMARK, lanes)
            write_note(writer, _ERASURE, uuid.uuid4().hex)

        store.transact(finish)
        _empty_log(store)
        copies = damaged_copies(store.path)
        if copies:
            names = visible(", ".join(each.name for each in copies))
            _log.warning("what was erased may still be in files that were set aside: %s", names)
        return count

    def newest(self) -> object:
        """What changes whenever a person was erased, by whichever process."""
        return self._store.look(newest_erasure)


def newest_erasure(connection: sqlite3.Connection) -> list[Any]:
    """Another value whenever rows of a person were erased, with each page of them.

    By whichever process; it says nothing of whom. Whoever holds a batch in memory sees by it that
    rows may be gone, and looks. So it need not be checked for damage, which is asked for before
    every request.
    """
    return connection.execute(_NEWEST, (_ERASURE,)).fetchall()


def _tell(name: str, marks: Sequence[Mark]) -> IsTheirs:
    """Make what tells whether a row, of an id, bytes and an identity, is that person's."""
    needle = encode_text(name)

    def is_theirs(row_id: int, data: object, identity: object) -> bool:
        whose = identity_in(identity) if isinstance(identity, str) else identity
        if isinstance(whose, str) and is_of(whose, name):
            return True
        if whose == WHOEVER and any(
            each.identity == identity and each.first_id <= row_id <= each.last_id for each in marks
        ):
            return True
        if not isinstance(data, bytes) or needle not in data:
            return False
        event = read_event(data)
        # under a public key the device's id is in everybody's events: only the identity tells
        fields = ("user_id", "anonymous_id") if whose == NO_IDENTITY else ("user_id",)
        return event is not None and any(event.get(field) == name for field in fields)

    return is_theirs


def _erase(store: Store, table: str, is_theirs: IsTheirs) -> int:
    """Delete rows page by page, so that nobody waits long; return how many.

    Each page is read in the transaction that deletes of it: by then others may have its ids.
    """
    sql = page_sql(f"SELECT _id, data, identity FROM {table}")
    start, erased = LOWEST_ID, 0

    def erase_page(writer: sqlite3.Connection) -> tuple[int, int]:
        page = read_page(writer, sql, start)
        theirs = [row[0] for row in page if is_theirs(*row)]
        if theirs:
            before = standing(writer)
            removed = delete_by_ids(writer, table, theirs)
            before.record(writer, removed=removed if table == QUEUE else 0)
            # with the rows: an answer that comes before the last page has to be told as too late
            write_note(writer, _ERASURE, uuid.uuid4().hex)
        return len(theirs), page[-1][0] + 1 if page else HIGHEST_ID + 1

    while start <= HIGHEST_ID:
        count, start = store.transact(erase_page)
        erased += count
    return erased


def _empty_log(store: Store) -> None:
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
