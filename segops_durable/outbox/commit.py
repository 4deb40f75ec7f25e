"""Group commit: one fsync for all the threads that wait for one.

The first thread to arrive opens a group and leads it: it waits for the write gate, and
whoever arrives meanwhile joins. Past the gate it closes the group, commits all its rows in
one transaction, and lets the others go on. They wake one another in a chain, each as the
one before it gets going: waking them all at once makes them fight for the interpreter and
costs a quarter of the throughput.
"""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING

from segops_durable.errors import (
    CheckpointConflictError,
    QueueFullError,
    SegOpsError,
    StorageError,
)
from segops_durable.outbox.event_queue import MOST_ROWS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from segops_durable.outbox.caps import Caps
    from segops_durable.outbox.event_queue import EventQueue
    from segops_durable.outbox.rows import NewRow
    from segops_durable.outbox.store import Store

    Also = Callable[[sqlite3.Connection], object]

MAX_GROUP_ROWS = 256


class _Append:
    """The rows of one call: stored all or none."""

    def __init__(self, rows: Sequence[NewRow], also: Also | None = None) -> None:
        self.rows = rows
        self.also = also
        self.error: SegOpsError | None = None


class _Group:
    """Rows that will be committed together, and the lock that their threads wait on."""

    def __init__(self) -> None:
        self.leader = threading.get_ident()
        self.appends: list[_Append] = []
        self.rows: list[NewRow] = []
        self.needs_transaction = False
        self.error: BaseException | None = None
        self.finished = threading.Lock()
        self.finished.acquire()


class GroupCommit:
    """Appends rows to the store, many threads to a transaction.

    Args:
        store: The open outbox file.
        caps: What it may hold.
    """

    def __init__(self, store: Store, caps: Caps) -> None:
        self._store = store
        self._caps = caps
        self._open_group: _Group | None = None
        self._joining = threading.RLock()  # reentrant: a signal handler may call in again

    def append(self, rows: Sequence[NewRow], also: Also | None = None) -> None:
        """Store rows, all of them or none; they are durable when this returns.

        Args:
            rows: The rows.
            also: Called with the writing connection, in the same transaction.

        Raises:
            QueueFullError: There is no room for them; nothing was stored.
            StorageError: They could not be stored, or it is unknown whether they were.
            ClosedError: The outbox is closed, or was opened by another process.
        """
        self._store.check_writable()
        waiting = self._open_group
        if waiting is not None and waiting.leader == threading.get_ident():
            raise self._store.interrupted()
        group = None
        append = _Append(rows, also)
        try:
            group = self._join(append)
            if group.leader != threading.get_ident():
                with group.finished:  # and let the next in the chain go on
                    pass
            else:
                self._lead(group)
        except BaseException as error:
            self._abandon(group or self._open_group, error)
            raise
        if group.error is not None:
            raise self._for_this_thread(group.error)
        if append.error is not None:
            raise append.error

    def _join(self, append: _Append) -> _Group:
        with self._joining:
            group = self._open_group
            if group is None:
                group = self._open_group = _Group()
            group.appends.append(append)
            group.rows.extend(append.rows)
            if append.also is not None:
                group.needs_transaction = True
            if len(group.rows) >= MAX_GROUP_ROWS:
                group.needs_transaction |= len(group.rows) > MOST_ROWS
                self._open_group = None
            return group

    def _lead(self, group: _Group) -> None:
        def commit(queue: EventQueue) -> None:
            self._close(group)
            if self._caps.are_set or group.needs_transaction:
                self._insert_what_fits(queue, group.appends)
            else:
                queue.insert_all(group.rows)

        try:
            self._store.write(commit)
        except BaseException as error:
            group.error = error
            raise
        finally:
            group.finished.release()

    def _insert_what_fits(self, queue: EventQueue, appends: Sequence[_Append]) -> None:
        """Store the calls for which there is room, in one transaction."""
        queue.writer.execute("BEGIN IMMEDIATE")
        for append in appends:
            append.error = self._insert_if_it_fits(queue, append)
        queue.writer.execute("COMMIT")

    def _insert_if_it_fits(self, queue: EventQueue, append: _Append) -> SegOpsError | None:
        queue.writer.execute("SAVEPOINT append")
        try:
            if append.also is not None:
                append.also(queue.writer)
            if self._caps.are_set:
                self._caps.admit(queue.writer, append.rows, self._store.path)
        except (CheckpointConflictError, QueueFullError) as error:
            queue.writer.execute("ROLLBACK TO append")  # nothing gives way for nothing
            return error
        finally:
            queue.writer.execute("RELEASE append")
        queue.insert_all(append.rows)
        return None

    def _close(self, group: _Group) -> None:
        with self._joining:
            if self._open_group is group:
                self._open_group = None

    def _abandon(self, group: _Group | None, error: BaseException) -> None:
        """Fail a group that a signal handler's exception kept this thread from leading."""
        if group is None or group.leader != threading.get_ident():
            return
        self._close(group)
        group.error = group.error or error
        if group.finished.locked():
            group.finished.release()

    def _for_this_thread(self, error: BaseException) -> SegOpsError:
        """A new error for each follower: a traceback belongs to one thread."""
        if isinstance(error, SegOpsError):
            return copy.copy(error)
        failure = StorageError(
            f"the commit to {self._store.path} was interrupted ({type(error).__name__})",
            path=str(self._store.path),
            hint="Whether the event is stored is unknown",
        )
        failure.__cause__ = error
        return failure
