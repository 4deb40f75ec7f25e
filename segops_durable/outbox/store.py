"""The SQLite file: schema, PRAGMAs, connections and transactions.

`EventQueue` is persist-queue's `SQLiteQueue` with its extension points filled in: the table
gains a checksum and an identity, and connections get the settings that make a commit
durable. Its `get`, acknowledgement and pickling are left alone: they delete before the
event is sent, commit per row, and run code that someone may have planted in the file.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import persistqueue

from segops_durable.errors import ClosedError, StorageError
from segops_durable.filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from segops_durable.options import Durability
    from segops_durable.outbox.rows import NewRow

SCHEMA_VERSION = 1
QUEUE = "queue_outbox"
"""The table that persist-queue makes: its `queue_` prefix and our queue's name."""

_T = TypeVar("_T")

_BUSY_SECONDS = 60.0
_FILES = ("", "-wal", "-shm")
_WAL_PAGES = 100
_WAL_BYTES = 1 << 20

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tally (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    removed INTEGER NOT NULL DEFAULT 0,
    accepted INTEGER NOT NULL DEFAULT 0,
    last_accepted_at REAL
);
INSERT OR IGNORE INTO tally (id) VALUES (1);
CREATE TABLE IF NOT EXISTS in_flight (
    first_id INTEGER PRIMARY KEY,
    last_id INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    identity TEXT NOT NULL,
    batch_key TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS dead_letters (
    _id INTEGER PRIMARY KEY AUTOINCREMENT,
    row_id INTEGER NOT NULL,
    data BLOB NOT NULL,
    identity TEXT NOT NULL,
    tracked_at REAL NOT NULL,
    died_at REAL NOT NULL,
    reason TEXT NOT NULL,
    status INTEGER,
    answer TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS {QUEUE}_identity ON {QUEUE} (identity, _id) WHERE identity <> '';
PRAGMA user_version = {SCHEMA_VERSION};
"""


class _AsTheyAre:
    """The serializer: an event is bytes already."""

    @staticmethod
    def dumps(value: bytes) -> bytes:
        return value

    @staticmethod
    def loads(data: bytes) -> bytes:
        return data


class EventQueue(persistqueue.SQLiteQueue):
    """persist-queue's FIFO queue, with durable connections and a checked, wider row."""

    _SQL_CREATE = (
        "CREATE TABLE IF NOT EXISTS {table_name} ("
        "{key_column} INTEGER PRIMARY KEY AUTOINCREMENT, "  # never reuse an id: see Batches
        "data BLOB NOT NULL, timestamp FLOAT NOT NULL, "
        "crc INTEGER NOT NULL, identity TEXT NOT NULL)"
    )
    _SQL_INSERT = "INSERT INTO {table_name} (data, timestamp, crc, identity) VALUES (?, ?, ?, ?)"

    def __init__(self, path: Path, durability: Durability) -> None:
        self._durability = durability
        self._getter = self._putter = None  # SQLiteBase.__del__ reads them even after a failure
        super().__init__(
            str(path.parent),
            name="outbox",
            multithreading=True,
            timeout=_BUSY_SECONDS,
            serializer=_AsTheyAre,
            db_file_name=path.name,
        )
        self._insert = self._sql_insert  # the base class formats it anew at every use

    @property
    def reader(self) -> sqlite3.Connection:
        """The connection that only reads."""
        return self._getter  # type: ignore[return-value]  # persist-queue types it as None

    @property
    def writer(self) -> sqlite3.Connection:
        """The connection that writes, behind the write gate."""
        return self._putter  # type: ignore[return-value]  # persist-queue types it as None

    def insert_all(self, rows: Sequence[NewRow]) -> None:
        """Insert rows with one statement, which commits them all or none.

        One statement lets go of the interpreter once, where `executemany` does it for every
        row, and every time another thread may take it: with 16 threads that is a third of
        the throughput.
        """
        more = ", (?, ?, ?, ?)" * (len(rows) - 1)
        self.writer.execute(self._insert + more, tuple(chain.from_iterable(rows)))

    def _count(self) -> int:
        """Count nothing: the base class would read every page at start-up."""
        return 0

    def _new_db_connection(
        self,
        path: str,
        multithreading: bool,  # noqa: ARG002, FBT001 - the base class's signature
        timeout: float,
    ) -> sqlite3.Connection:
        connection = sqlite3.connect(
            os.path.join(path, self.db_file_name),  # noqa: PTH118 - the base class holds text
            timeout=timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            self._configure(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _configure(self, connection: sqlite3.Connection) -> None:
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise sqlite3.OperationalError(f"journal mode {mode} instead of wal")
        is_full = self._durability == "full"
        for setting in (
            f"synchronous={'FULL' if is_full else 'NORMAL'}",  # a build's default may be less
            f"fullfsync={is_full:d}",  # macOS: a plain fsync does not reach the platter
            f"checkpoint_fullfsync={is_full:d}",
            "secure_delete=ON",  # or sent events could be carved out of the file
            f"wal_autocheckpoint={_WAL_PAGES}",
            f"journal_size_limit={_WAL_BYTES}",
        ):
            connection.execute(f"PRAGMA {setting}").fetchall()


class WriteGate:
    """Lets one thread of one process write at a time, in fair turns.

    SQLite's own busy handler makes writers wait for seconds where this takes milliseconds.
    The thread lock stands outside the file lock because flock does not exclude threads
    that share a descriptor.

    A signal handler may raise at any call. Hence no context manager of our own: `with` on
    the interpreter's lock is the one form that cannot be interrupted half-way and leave the
    gate shut for ever.
    """

    def __init__(self, path: Path) -> None:
        self.threads = threading.Lock()
        self._processes = FileLock(path)
        self._holder: int | None = None

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread is inside: true in a signal handler that interrupted it."""
        return self._holder == threading.get_ident()

    def run(self, action: Callable[[], _T]) -> _T:
        """Run an action inside. The caller holds `threads`.

        Raises:
            ClosedError: The gate was closed while the caller waited for `threads`.
        """
        if self._processes.is_closed:
            raise closed_error()
        try:
            self._holder = threading.get_ident()
            self._processes.acquire()
            return action()
        finally:
            self._holder = None
            if not self._processes.is_closed:
                self._processes.release()

    def close(self) -> None:
        """Refuse whoever waits, or comes later."""
        self._processes.close()


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
                queue.writer.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
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


def closed_error() -> ClosedError:
    """The error for a client that is used after its shutdown."""
    return ClosedError("the client is shut down", hint="Make a new SegOpsClient")


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
