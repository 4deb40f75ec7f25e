"""The open outbox file: reads, writes behind the gate, and what is done when it fails.

A file that cannot be read is set aside and what can be read of it goes into a new one; a
file that vanished, or was replaced, is noticed before the next write. Both happen within
the call that meets them, and are told of through `incidents`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import deque
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from segops_durable.errors import ClosedError, QueueFullError, StorageError
from segops_durable.outbox.damage import is_damage
from segops_durable.outbox.files import FileId, file_id, make_private_directory, size_on_disk
from segops_durable.outbox.gate import WriteGate, closed_error
from segops_durable.outbox.opening import Opener
from segops_durable.outbox.reserve import Reserve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from segops_durable.errors import SegOpsError
    from segops_durable.options import Durability
    from segops_durable.outbox.event_queue import EventQueue

_T = TypeVar("_T")

_FULL = "database or disk is full"
_SHAKY = ("readonly", "unable to open", "disk i/o error")
_LITTLE_LIVE_PAGES = 256
_MANY_FREE_PAGES = 1024
_INCIDENTS = 100


class Store:
    """The open outbox file: transactions for writers, one lock for readers.

    Args:
        path: The file, absolute. It and its directory are made private if they are new.
        durability: ``full`` or ``normal``.
        prepare: Called with the writing connection whenever a file was opened.

    Attributes:
        incidents: What happened to the file, oldest first, until somebody tells of it.

    Raises:
        StorageError: The file cannot be made or opened.
    """

    def __init__(
        self,
        path: Path,
        durability: Durability,
        prepare: Callable[[sqlite3.Connection], None] = lambda _writer: None,
    ) -> None:
        self.path = path
        self.incidents: deque[SegOpsError] = deque(maxlen=_INCIDENTS)
        self._opener = Opener(path, durability, prepare, self.incidents.append)
        self._reading = threading.RLock()  # a signal handler may interrupt a read with another
        self._closed = False
        self._pid = os.getpid()
        self._queue: EventQueue | None = None
        self._file: FileId | None = None
        self._is_shaky = False  # the connection met an error that may outlive its cause
        self._reserve = Reserve(path)
        try:
            make_private_directory(path.parent)
            self.gate = self._make_gate()
        except OSError as error:
            raise self._storage_error("cannot be made", error) from error
        try:
            with self.gate.threads:
                self.gate.run(self._current)
        except (OSError, sqlite3.Error) as error:
            self.gate.close()
            raise self._storage_error("cannot be opened", error) from error
        except BaseException:
            self.gate.close()
            raise
        self._reserve.make()

    # Use

    def write(self, action: Callable[[EventQueue], _T]) -> _T:
        """Run an action behind the write gate; each of its statements commits by itself.

        Raises:
            QueueFullError: The disk is full. Nothing was stored.
            StorageError: SQLite could not write. Whether it is on disk is then unknown.
            ClosedError: The store is closed, or was opened by another process.
        """
        return self._behind_gate(lambda: self._attempt(action))

    def transact(self, action: Callable[[sqlite3.Connection], _T], *, is_vital: bool = False) -> _T:
        """Run an action in a transaction, committed at the end or rolled back.

        Args:
            action: Called with the writing connection.
            is_vital: It makes room, or sends: for it the reserve is given up.

        Raises:
            QueueFullError: As `write`.
            StorageError: As `write`.
            ClosedError: As `write`.
        """

        def in_transaction(queue: EventQueue) -> _T:
            queue.writer.execute("BEGIN IMMEDIATE")  # a deferred one may fail at its first write
            result = action(queue.writer)
            queue.writer.execute("COMMIT")
            return result

        return self._behind_gate(lambda: self._attempt(in_transaction, is_vital=is_vital))

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run one SELECT to its end: an open cursor would keep the WAL from shrinking.

        Raises:
            StorageError: SQLite could not read.
            ClosedError: The store is closed, or was opened by another process.
        """
        try:
            return self._read(sql, parameters)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise self._storage_error("cannot be read", error) from error
            # with the gate comes whoever may mend it, and then reads again
            return self._behind_gate(
                lambda: self._attempt(
                    lambda queue: queue.writer.execute(sql, parameters).fetchall()
                )
            )

    def replace_damaged(self, error: sqlite3.DatabaseError) -> None:
        """Set the file aside, and go on in a new one with what can be read of it."""

        def replace() -> None:
            self._drop()
            self._adopt(self._opener.open_afresh(error))

        self._behind_gate(replace)

    def look_after(self) -> None:
        """Notice a file that vanished or was replaced, and make the reserve again."""
        self.check_open()
        self._reserve.make()
        if file_id(self.path) != self._file:
            self._behind_gate(self._current)

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
            raise ClosedError(
                f"the client belongs to process {self._pid}",
                hint="The fork went past Python; make a SegOpsClient in the child",
            )

    def check_writable(self) -> None:
        """Refuse what `check_open` refuses, and use from within a commit.

        Raises:
            ClosedError: As `check_open`.
            StorageError: A signal handler interrupted a commit on this very thread, so
                waiting for that commit would never end.
        """
        self.check_open()
        if self.gate.is_mine:
            raise self.interrupted()

    def interrupted(self) -> StorageError:
        """The error for a signal handler that calls in while its thread is writing."""
        return StorageError(
            f"a signal handler interrupted a write to {self.path}",
            path=str(self.path),
            hint="Let the handler set a flag, and call the client outside it",
        )

    def size(self) -> int:
        """Bytes on disk: the file, and what SQLite keeps beside it."""
        return size_on_disk(self.path)

    def close(self, timeout: float = 5.0) -> None:
        """Close the connections, behind the gate. Safe to call twice.

        Nothing durable depends on it: where the gate cannot be had in `timeout` seconds,
        the file stays open until the process ends.
        """
        if self._closed or self._pid != os.getpid():
            return
        if self.gate.is_mine or not self.gate.threads.acquire(timeout=timeout):
            self._closed = True
            return
        try:
            self.gate.run(self._close)
        finally:
            self.gate.threads.release()

    # Forks

    def before_fork(self) -> bool:
        """Close the connections and keep everyone out; False if that cannot be.

        A child that inherits an open connection makes SQLite lose what the parent commits.
        """
        if self._closed or self._pid != os.getpid() or self.gate.is_mine:
            return False
        self.gate.threads.acquire()
        self._reading.acquire()
        self._drop()
        return True

    def after_fork_in_parent(self) -> None:
        """Go on; the next use opens the file again."""
        self._reading.release()
        self.gate.threads.release()

    def after_fork_in_child(self) -> None:
        """Start anew with locks of this process; those inherited are the parent's."""
        self._reading = threading.RLock()
        self.gate.close()
        self.gate = self._make_gate()
        self._pid = os.getpid()

    # Behind the gate

    def _behind_gate(self, action: Callable[[], _T]) -> _T:
        self.check_writable()
        with self.gate.threads:
            try:
                return self.gate.run(action)
            except (OSError, sqlite3.Error) as error:
                raise self._storage_error("cannot be written", error) from error

    def _attempt(self, action: Callable[[EventQueue], _T], *, is_vital: bool = False) -> _T:
        """Run an action; where the file can be mended, mend it and run the action again."""
        queue = self._current()
        try:
            return action(queue)
        except sqlite3.Error as error:
            _roll_back(queue.writer)
            if not self._is_mended(queue, error, is_vital=is_vital):
                raise
        except BaseException:
            _roll_back(queue.writer)
            raise
        queue = self._current()
        try:
            return action(queue)
        except BaseException:
            _roll_back(queue.writer)
            raise

    def _is_mended(self, queue: EventQueue, error: sqlite3.Error, *, is_vital: bool) -> bool:
        text = str(error).lower()
        if is_damage(error):
            self._drop()
            self._adopt(self._opener.open_afresh(error))
            return True
        self._is_shaky = any(each in text for each in _SHAKY)
        if is_vital and (_FULL in text or self._is_shaky) and self._reserve.give_up():
            with suppress(sqlite3.Error):  # what it moves out of the WAL makes room there
                queue.writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            return True
        return False

    def _current(self) -> EventQueue:
        """The open queue: opened if need be, and the one that is at the path now."""
        if self._is_shaky:
            self._drop()
        queue = self._queue
        if queue is None:
            return self._adopt(self._opener.open())
        if file_id(self.path) == self._file:
            return queue
        with closing(queue):
            return self._adopt(self._opener.follow(queue))

    def _adopt(self, queue: EventQueue) -> EventQueue:
        with self._reading:
            self._queue = queue
            self._file = file_id(self.path)
            self._is_shaky = False
        return queue

    def _drop(self) -> None:
        with self._reading:
            if self._queue is not None:
                self._queue.close()
                self._queue = None

    def _read(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        with self._reading:
            self.check_open()
            if self._queue is not None:
                return self._queue.reader.execute(sql, parameters).fetchall()
        self._behind_gate(self._current)
        return self._read(sql, parameters)

    def _close(self) -> None:
        self._closed = True
        self._drop()
        self.gate.close()

    def _make_gate(self) -> WriteGate:
        return WriteGate(self.path.with_name(self.path.name + ".lock"))

    # What is said of it

    def _storage_error(self, problem: str, error: Exception) -> StorageError:
        if _FULL in str(error):
            return QueueFullError(
                f"the disk is full, and {self.path} {problem}",
                path=str(self.path),
                hint="Make room; what was stored before is still there",
            )
        return StorageError(
            f"the outbox {self.path} {problem}: {error}",
            path=str(self.path),
            hint="Check free space, permissions and the disk",
        )


def _vacuum(queue: EventQueue) -> None:
    """Rewrite the file without its free pages; the checkpoint cuts it to its new size."""
    queue.writer.execute("VACUUM")
    queue.writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _roll_back(connection: sqlite3.Connection) -> None:
    """Leave no transaction open; SQLite may have rolled back by itself already."""
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:  # the first error is the one to report
        return
