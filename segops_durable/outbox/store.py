"""The open outbox file: reads, writes behind the gate, and transactions."""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from segops_durable.errors import ClosedError, StorageError
from segops_durable.outbox.event_queue import SCHEMA_VERSION, UPGRADES, EventQueue
from segops_durable.outbox.gate import WriteGate, closed_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from segops_durable.options import Durability

_T = TypeVar("_T")

_FILES = ("", "-wal", "-shm")


class Store:
    """The open outbox file: transactions for writers, one lock for readers.

    Args:
        path: The file, absolute. It and its directory are made private if they are new.
        durability: ``full`` or ``normal``.

    Raises:
        StorageError: The file cannot be made or opened.
    """

    def __init__(self, path: Path, durability: Durability) -> None:
        self.path = path
        self._reading = threading.RLock()  # a signal handler may interrupt a read with another
        self._closed = False
        self._pid = os.getpid()
        try:
            _make_private_directory(path.parent)
            self.gate = WriteGate(path.with_name(path.name + ".lock"))
        except OSError as error:
            raise self._storage_error("cannot be made", error) from error
        try:
            with self.gate.threads:
                self._queue = self.gate.run(lambda: self._open(durability))
        except (OSError, sqlite3.Error) as error:
            self.gate.close()
            raise self._storage_error("cannot be opened", error) from error
        except BaseException:
            self.gate.close()
            raise

    def _open(self, durability: Durability) -> EventQueue:
        _make_private_file(self.path)
        queue = EventQueue(self.path, durability)
        try:
            version = queue.reader.execute("PRAGMA user_version").fetchone()[0]
            self._check_version(version)
            if version < SCHEMA_VERSION:
                steps = "".join(UPGRADES[version:])
                stamp = f"PRAGMA user_version = {SCHEMA_VERSION};"
                queue.writer.executescript(f"BEGIN IMMEDIATE;{steps}{stamp}COMMIT;")
        except BaseException:
            queue.close()
            raise
        return queue

    def _check_version(self, version: int) -> None:
        if version > SCHEMA_VERSION:
            raise StorageError(
                f"{self.path} has schema version {version}, this package knows {SCHEMA_VERSION}",
                path=str(self.path),
                hint="Upgrade segops-durable, or give another queue_path",
            )

    def write(self, action: Callable[[EventQueue], _T]) -> _T:
        """Run an action behind the write gate; each of its statements commits by itself.

        Raises:
            StorageError: SQLite could not write. Whether it is on disk is then unknown.
            ClosedError: The store is closed, or was opened by another process.
        """
        self.check_writable()
        with self.gate.threads:
            try:
                return self.gate.run(lambda: action(self._queue))
            except sqlite3.Error as error:
                _roll_back(self._queue.writer)
                raise self._storage_error("cannot be written", error) from error
            except BaseException:
                _roll_back(self._queue.writer)
                raise

    def transact(self, action: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run an action in a transaction, committed at the end or rolled back.

        Raises:
            StorageError: As `write`.
            ClosedError: As `write`.
        """

        def in_transaction(queue: EventQueue) -> _T:
            queue.writer.execute("BEGIN IMMEDIATE")  # a deferred one may fail at its first write
            result = action(queue.writer)
            queue.writer.execute("COMMIT")
            return result

        return self.write(in_transaction)

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run one SELECT to its end: an open cursor would keep the WAL from shrinking.

        Raises:
            StorageError: SQLite could not read.
            ClosedError: The store is closed, or was opened by another process.
        """
        with self._reading:
            self.check_open()
            try:
                return self._queue.reader.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise self._storage_error("cannot be read", error) from error

    def check_open(self) -> None:
        """Refuse use after `close`, and in a forked child.

        Raises:
            ClosedError: It is one of them. A child must not touch the parent's
                connections: SQLite would lose what the parent commits.
        """
        if self._closed:
            raise closed_error()
        if self._pid != os.getpid():
            raise ClosedError(
                f"the client belongs to process {self._pid}",
                hint="Make a SegOpsClient after the fork, in each process",
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
        return sum(map(_size, (self.path.with_name(self.path.name + end) for end in _FILES)))

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

    def _close(self) -> None:
        with self._reading:
            self._closed = True
            self._queue.close()
        self.gate.close()

    def _storage_error(self, problem: str, error: Exception) -> StorageError:
        return StorageError(
            f"the outbox {self.path} {problem}: {error}",
            path=str(self.path),
            hint="Check free space, permissions and the disk",
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _roll_back(connection: sqlite3.Connection) -> None:
    """Leave no transaction open; SQLite may have rolled back by itself already."""
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:  # the first error is the one to report
        return


def _make_private_directory(directory: Path) -> None:
    """Make the directory, and make sure that a power cut cannot take it away again."""
    missing = [parent for parent in (directory, *directory.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o700, exist_ok=True)
        _sync_directory(parent.parent)


def _make_private_file(path: Path) -> None:
    """Create the database 0600 before SQLite can create it with wider permissions.

    Never open an existing one: closing it again would drop SQLite's own locks on it.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    if os.name == "nt":  # pragma: no cover - a directory cannot be opened there
        return
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
