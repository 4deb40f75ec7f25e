"""The open outbox file: reads, writes behind the gate, and what is done when it fails.

A file that cannot be read is set aside and what can be read of it goes into a new one; a
file that vanished, or was replaced, is noticed before the next write. Both happen within
the call that meets them, and are told of through `incidents`.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from segops_durable.outbox.disk.files import check_database
from segops_durable.outbox.records.incidents import note_as_told
from segops_durable.outbox.store.complaints import forked_error, interrupted_error, storage_error
from segops_durable.outbox.store.failures import is_damage
from segops_durable.outbox.store.gate import LOCK_TIMEOUT, MOST_WAITS, WriteGate, closed_error
from segops_durable.outbox.store.ledger import Ledger
from segops_durable.outbox.store.live_file import LiveFile
from segops_durable.outbox.store.log_size import LogWatch, cut_log, log_excess
from segops_durable.outbox.store.opening import Opener
from segops_durable.outbox.store.recognizing import refuse_stranger
from segops_durable.outbox.store.reserve import Reserve
from segops_durable.system.private_files import make_private_directory
from segops_durable.system.trusted_paths import HINT_PLACE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from segops_durable.errors import SegOpsError
    from segops_durable.outbox.store.event_queue import Durability, EventQueue

_T = TypeVar("_T")

_LITTLE_LIVE_PAGES = 256
_MANY_FREE_PAGES = 1024
_INCIDENTS = 100


class Store:
    """The open outbox file: transactions for writers, one lock for readers.

    Args:
        path: The file, absolute. It and its directory are made private if they are new.
        durability: ``full`` or ``normal``.
        prepare: Called with the writing connection whenever a file was opened.
        lock_timeout: Seconds to wait for a process that holds the file and does nothing.
        mends: Whether what is damaged is mended. Defaults to True.

    Attributes:
        incidents: What happened to the file, oldest first, until somebody tells of it.

    Raises:
        StorageError: The file cannot be made or opened.
        ConfigurationError: It never was an outbox.
    """

    def __init__(
        self,
        path: Path,
        durability: Durability,
        prepare: Callable[[sqlite3.Connection], None] = lambda _writer: None,
        lock_timeout: float = LOCK_TIMEOUT,
        *,
        mends: bool = True,
    ) -> None:
        self.path = path
        self._make_gate = partial(WriteGate, path, lock_timeout)
        self.incidents: deque[SegOpsError] = deque(maxlen=_INCIDENTS)
        self._reserve = Reserve(path)
        self.gate: WriteGate = self._make_gate()
        self._ledger = ledger = Ledger(self.gate)
        tell, patience = self.incidents.append, MOST_WAITS * lock_timeout
        self._opener = Opener(
            path, durability, prepare, tell, ledger, busy_seconds=lock_timeout, mends=mends
        )
        self._live = LiveFile(
            path, self._opener, ledger, self._reserve, tell, patience=patience, mends=mends
        )
        self._closed = False
        self._pid = os.getpid()
        self._log_watch = LogWatch(path)
        self._open()

    def _open(self) -> None:
        try:
            make_private_directory(self.path.parent)
            check_database(self.path)
            refuse_stranger(self.path)  # before there is a lock beside it
            self.gate.run(self._live.current)
            self._reserve.make()
        except BaseException as error:
            self._live.drop()
            self.gate.close()
            if isinstance(error, OSError):
                raise storage_error(self.path, "cannot be made", error, HINT_PLACE) from error
            if isinstance(error, sqlite3.Error):
                raise storage_error(self.path, "cannot be opened", error) from error
            raise

    # Use

    def append(self, action: Callable[[EventQueue], None], seconds: float | None = None) -> None:
        """As `write`, for what adds rows, as `LiveFile.append`, and has asked `check_writable`."""
        try:
            self.gate.run(self._live.append, action, seconds=seconds)
        except (OSError, sqlite3.Error) as error:
            raise storage_error(self.path, "cannot be written", error) from error

    def write(self, action: Callable[[EventQueue], _T]) -> _T:
        """Run an action behind the write gate; each of its statements commits by itself.

        Raises:
            QueueFullError: The disk is full. Nothing was stored.
            StorageError: SQLite could not write. Whether it is on disk is then unknown.
            ClosedError: The store is closed, or was opened by another process.
        """
        return self._behind_gate(lambda: self._live.attempt(action))

    def transact(self, action: Callable[[sqlite3.Connection], _T], *, is_vital: bool = False) -> _T:
        """Run an action in a transaction, committed at the end or rolled back.

        Args:
            action: Called with the writing connection.
            is_vital: It makes room, or sends: for it the reserve is given up.

        Raises:
            StorageError: As `write`; `QueueFullError` likewise, and `ClosedError`.
        """

        def in_transaction(queue: EventQueue) -> _T:
            queue.writer.execute("BEGIN IMMEDIATE")  # a deferred one may fail at its first write
            result = action(queue.writer)
            queue.writer.execute("COMMIT")
            return result

        return self._behind_gate(lambda: self._live.attempt(in_transaction, is_vital=is_vital))

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run one SELECT to its end: an open cursor would keep the WAL from shrinking.

        Raises:
            StorageError: SQLite could not read.
            ClosedError: The store is closed, or was opened by another process.
        """
        return self.look(lambda connection: connection.execute(sql, parameters).fetchall())

    def look(self, action: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run an action that only reads, and finds out whether what it reads is damaged.

        Raises:
            StorageError: As `read`.
            ClosedError: As `read`.
        """

        def checked(connection: sqlite3.Connection) -> _T:
            self.check_open()  # once the lock is had: it may have been closed meanwhile
            return action(connection)

        try:
            while (found := self._live.look(checked)) is None:
                self._behind_gate(self._live.current)
            return found[0]
        except (TimeoutError, sqlite3.Error) as error:
            if isinstance(error, TimeoutError) or not is_damage(error):
                raise storage_error(self.path, "cannot be read", error) from error
            # mending replaces records, or the file: two processes that did it at once would
            # each set aside what the other has just made. So it is done behind the gate; the
            # action is run again there, on what has been mended
            return self._behind_gate(lambda: self._live.attempt(lambda queue: action(queue.writer)))

    def replace_damaged(self, error: sqlite3.DatabaseError) -> None:
        """Set the file aside, and go on in a new one with what can be read of it."""
        self._behind_gate(lambda: self._live.replace(error))

    def incidents_are_told(self) -> None:
        """Note in the file that what was noted there to be told was told."""
        if self._opener.has_told:
            self.transact(note_as_told)
            self._opener.has_told = False

    def look_after(self) -> None:
        """Notice a file that is another, or lacks rows; see to the reserve, and the log."""
        self.check_open()
        self._reserve.make()
        self.write(self._live.check)
        if log_excess(self.path):
            self.write(lambda queue: cut_log(queue.writer))
        news = self._log_watch.news()
        if news is not None:
            self.incidents.append(news)

    def shrink(self) -> None:
        """Give the disk back what a large drain has freed, once that takes no time."""
        free, live = (
            self.read(f"PRAGMA {name}")[0][0] for name in ("freelist_count", "page_count")
        )
        if free >= _MANY_FREE_PAGES and live - free <= _LITTLE_LIVE_PAGES:
            self.write(_vacuum)

    def check_open(self) -> None:
        """Refuse use after `close`, and in a child of a fork that nobody announced.

        Raises:
            ClosedError: It is one of them. A child must not touch the parent's
                connections: SQLite would lose what the parent commits.
        """
        if self._closed:
            raise closed_error()
        if self._pid != os.getpid():
            raise forked_error(self._pid)

    def check_writable(self) -> None:
        """Refuse what `check_open` refuses, and use from within a commit.

        Raises:
            ClosedError: As `check_open`.
            StorageError: A signal handler interrupted a commit on this very thread, which it
                would wait for without end; or a read, which a commit may wait for.
        """
        if self._closed or self._pid != os.getpid():
            self.check_open()
        if self.gate.is_mine() or self._live.is_read_here():
            raise interrupted_error(self.path)

    def close(self, timeout: float = 5.0) -> None:
        """Close the connections, behind the gate. Safe to call twice.

        Nothing durable depends on it: where the gate cannot be had in `timeout` seconds,
        the file stays open until the process ends.
        """
        if self._closed or self._pid != os.getpid():
            return
        if self._is_interrupted():
            self._closed = True
            return
        try:
            self.gate.run(self._close, seconds=timeout)
        except TimeoutError:
            self._closed = True

    def _is_interrupted(self) -> bool:
        """Whether the calling thread, in a signal handler, is within a commit, or a read."""
        return self.gate.is_mine() or self._live.is_read_here()

    # Forks

    def before_fork(self) -> bool:
        """Close the connections and keep everyone out; False if that cannot be.

        A child that inherits an open connection makes SQLite lose what the parent commits.
        """
        if self._closed or self._pid != os.getpid() or self._is_interrupted():
            return False
        has_let_go = False
        try:
            if self.gate.hold() and self._live.keep_readers_out():
                self._live.drop()
                has_let_go = True
        finally:  # a signal handler may raise while this waits: then nobody calls `after_fork_…`
            if not has_let_go:
                self.after_fork_in_parent()
        return has_let_go

    def after_fork_in_parent(self) -> None:
        """Go on; the next use opens the file again."""
        self._live.let_readers_in()
        self.gate.let_go()

    def after_fork_in_child(self) -> None:
        """Start anew with locks of this process; those inherited are the parent's."""
        self._live.forget_readers()
        self.gate.close()
        self.gate = self._ledger.gate = self._make_gate()
        self._pid = os.getpid()

    # Behind the gate

    def _behind_gate(self, action: Callable[[], _T]) -> _T:
        self.check_writable()
        try:
            return self.gate.run(action)
        except (OSError, sqlite3.Error) as error:
            raise storage_error(self.path, "cannot be written", error) from error

    def _close(self) -> None:
        self._live.drop()
        self.gate.close()
        self._closed = True  # last: where a handler raises before it, the next `close` goes on


def _vacuum(queue: EventQueue) -> None:
    """Rewrite the file without its free pages; the checkpoint cuts it to its new size."""
    queue.writer.execute("VACUUM")
    queue.writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
