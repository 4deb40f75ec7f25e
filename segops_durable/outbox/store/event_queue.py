"""The SQLite file: its PRAGMAs and its connections; `schema` has its tables.

`EventQueue` is persist-queue's `SQLiteQueue` with its extension points filled in: the table
gains a checksum and an identity, and connections get the settings that make a commit
durable. Its `get`, acknowledgement and pickling are left alone: they delete before the
event is sent, commit per row, and run code that someone may have planted in the file.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import persistqueue

from segops_durable.outbox.disk.files import companions, file_id
from segops_durable.outbox.disk.holding import hold, let_go
from segops_durable.outbox.disk.log import PAGE_SIZE
from segops_durable.outbox.records.schema import (
    CREATE_QUEUE,
    INSERT_NEXT,
    INSERT_NEXT_UNTIMED,
    INSERT_ROW_AFTER,
    MORE_NEXT,
    MORE_NEXT_UNTIMED,
    MORE_ROWS,
    ROW,
    UNTIMED,
)
from segops_durable.outbox.store.boundary import Connection, lenient_text
from segops_durable.outbox.store.log_size import USUAL_LOG_BYTES
from segops_durable.system.descriptors import (
    descriptors_of,
    keep_for_ever,
    names_of,
    open_descriptors,
)
from segops_durable.system.living import Living

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from segops_durable.outbox.records.rows import NewRowValues
    from segops_durable.system.descriptors import FileId

Durability = Literal["full", "normal"]
"""What an event survives once it is stored: a power cut (``full``), or a kill (``normal``)."""

FEW_ROWS = 64
"""More than so many are worth a transaction, where one statement could insert them."""

_MOST_ROWS = 1000
"""Rows in one INSERT, where the build of SQLite allows for so many parameters."""

_OLD_VARIABLES = 999
_NEW_VARIABLES = 32_766
_MANY_VARIABLES_SINCE = (3, 32, 0)
"""Where nothing says how many parameters a statement may have: SQLite's own defaults."""

_CACHE_KIB = 2000  # SQLite's own default
_WAL_PAGES = 100


_OPEN: Living[EventQueue] = Living()
_POISONED: set[FileId | None] = set()
"""Files of which SQLite believes, in this process, what is not so any more."""


def is_poisoned(file: FileId | None) -> bool:
    """Whether a file must not be opened in this process: its connections have been lost."""
    lost = {each.file for each in _OPEN.now() if each.is_lost}
    return file is not None and (file in _POISONED or file in lost)


def _limits_of_build(connection: sqlite3.Connection) -> tuple[int, int]:
    """Parameters and characters of a statement, as the library was compiled."""
    options = [row[0] for row in connection.execute("PRAGMA compile_options").fetchall()]
    said = dict(each.split("=", 1) for each in options if "=" in each)
    has_many = sqlite3.sqlite_version_info >= _MANY_VARIABLES_SINCE
    by_default = _NEW_VARIABLES if has_many else _OLD_VARIABLES
    variables = int(said.get("MAX_VARIABLE_NUMBER", by_default))
    return variables, int(said.get("MAX_SQL_LENGTH", 1_000_000))


def _inserting(rows: Sequence[NewRowValues]) -> tuple[str, list[Any]]:
    """What inserts rows behind others, and its parameters.

    `sqlite3` looks for an adapter of each value that is None or bytes, which takes as long as the
    rest of a row. So data is given as a bytearray, and a clock that no row has is left out.
    """
    width, count = len(ROW), len(rows)
    values: list[Any] = [*chain.from_iterable(rows)]
    values[0::width] = map(bytearray, values[0::width])
    if any(values[column::width].count(None) < count for column in range(len(UNTIMED), width)):
        return INSERT_NEXT + MORE_NEXT * (count - 1), values
    for column in reversed(range(len(UNTIMED), width)):
        del values[column :: column + 1]
    return INSERT_NEXT_UNTIMED + MORE_NEXT_UNTIMED * (count - 1), values


class _AsTheyAre:
    """The serializer: an event is bytes already."""

    @staticmethod
    def dumps(value: bytes) -> bytes:
        return value

    @staticmethod
    def loads(data: bytes) -> bytes:
        return data


class EventQueue(persistqueue.SQLiteQueue):
    """persist-queue's FIFO queue, with durable connections and a checked, wider row.

    Attributes:
        writer: The connection that writes, behind the write gate.
        names: Says how many names the file has; for every commit, so it looks at the writer's
            descriptors alone. None where the program has closed them; 0 also where the system
            does not tell.
        log: Which file its log is.
        given: An id that is known, outside the file, to have been given.
        newest_id: What was inserted last.
        inserted: How many rows were inserted, since both were set to 0.
    """

    _SQL_CREATE = CREATE_QUEUE
    _SQL_INSERT = INSERT_ROW_AFTER

    def __init__(self, path: Path, durability: Durability, busy_seconds: float) -> None:
        self._durability = durability
        self.given: int = 0
        self.newest_id: int = 0
        self.inserted: int = 0
        self._held = hold(file_id(path))  # before a descriptor of it is opened
        self._getter = self._putter = None  # SQLiteBase.__del__ reads them even after a failure
        self._descriptors: dict[int, FileId] = {}
        self._befores: list[list[int]] = []  # what was open before each connection
        try:
            super().__init__(
                str(path.parent),
                name="outbox",
                multithreading=True,
                timeout=busy_seconds,
                serializer=_AsTheyAre,
                db_file_name=path.name,
            )
        except BaseException:
            self.close()
            raise
        self.writer: Connection = self._putter  # type: ignore[assignment]  # as in `reader`
        for connection in (self.reader, self.writer):
            connection.text_factory = lenient_text  # the base class has set it to str
        self._insert = self._sql_insert  # the base class formats it anew at every use
        self._inserter = self.writer.cursor()
        self.file: FileId | None = file_id(path)
        self._find_descriptors(path)
        _OPEN.add(self)

    @property
    def reader(self) -> sqlite3.Connection:
        """The connection that only reads."""
        return self._getter  # type: ignore[return-value]  # persist-queue types it as None

    @property
    def is_lost(self) -> bool:
        """Whether the program has closed our descriptors, which may be other files' by now."""
        return names_of(self._descriptors) is None

    @property
    def is_nameless(self) -> bool:
        """Whether the file is known to have no name any more: it was deleted, or replaced.

        For who looks seldom: it is asked of whatever descriptor leads to the file.
        """
        found = descriptors_of(filter(None, [self.file]), ())
        return any(names_of({fd: file}) == 0 for fd, file in found.items())

    def close(self) -> None:
        """Close the connections; where they are lost, leave them as they are, for ever.

        SQLite would write, unlock and close by numbers that lead to somebody else's files.
        """
        if self.is_lost:
            _POISONED.add(self.file)
            for each in (self._conn, self._getter, self._putter):
                keep_for_ever(each)
            self._getter = self._putter = None
            self._conn = None  # type: ignore[assignment]  # or the base class would close it
        self._descriptors = {}
        try:
            super().close()
        finally:
            held, self._held = self._held, None
            let_go(held)

    def insert_all(self, rows: Sequence[NewRowValues]) -> None:
        """Insert any number of rows within a transaction: the first finds its id, others follow.

        Where one statement reads the table and inserts many rows into it, SQLite makes all of them
        in a table of its own first, which takes a fifth longer.
        """
        if rows:
            self.insert(rows[:1])
        most = self.most_rows if len(rows) > 1 else 1
        for start in range(1, len(rows), most):
            some = rows[start : start + most]
            inserted = self._inserter.execute(*_inserting(some))
            self.newest_id = inserted.lastrowid or 0
            self.inserted += len(some)

    def insert(self, rows: Sequence[NewRowValues]) -> None:
        """Insert rows with one statement, which commits them all or none; `most_rows` at most.

        It lets go of the interpreter once, where `executemany` does it for every row, and
        every time another thread may take it: with 16 threads that is a third of the
        throughput.
        """
        sql = self._insert + MORE_ROWS * (len(rows) - 1)
        inserted = self._inserter.execute(sql, (self.given, *chain.from_iterable(rows)))
        self.newest_id = inserted.lastrowid or 0
        self.inserted += len(rows)

    @property
    def most_rows(self) -> int:
        """Rows that one statement can insert: builds of SQLite differ, so it is asked."""
        if sys.version_info >= (3, 11):
            variables = self.writer.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
            text = self.writer.getlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH)
        else:
            variables, text = _limits_of_build(self.writer)
        by_text = 1 + (text - len(self._insert)) // len(MORE_ROWS)
        return max(1, min(_MOST_ROWS, (variables - 1) // len(ROW), by_text))

    def _find_descriptors(self, path: Path) -> None:
        """Find the descriptors of both connections, and what the writer uses of them."""
        log, index = (file_id(each) for each in companions(path))
        self.log: FileId | None = log
        before, with_reader = self._befores
        all_files = filter(None, (self.file, self.log, index))
        self._descriptors = descriptors_of(all_files, before)
        of_writer = {fd: file for fd, file in self._descriptors.items() if fd not in with_reader}
        shared = {fd: file for fd, file in self._descriptors.items() if file == index}
        used = {**shared, **of_writer}
        in_order = dict(sorted(used.items(), key=lambda each: each[1] == self.file))
        # of a connection that was closed while others were open here, SQLite keeps the descriptor
        # of the file, and gives it to the next: then nothing tells which it is
        known = in_order if self.file in used.values() else {}
        self.names: Callable[[], int | None] = partial(names_of, known)

    def _count(self) -> int:
        """Count nothing: the base class would read every page at start-up."""
        return 0

    def _new_db_connection(
        self,
        path: str,
        multithreading: bool,  # noqa: ARG002, FBT001 - the base class's signature
        timeout: float,
    ) -> sqlite3.Connection:
        self._befores.append(open_descriptors())
        connection = sqlite3.connect(
            os.path.join(path, self.db_file_name),  # noqa: PTH118 - the base class holds text
            timeout=timeout,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )
        try:
            self._configure(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _configure(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA page_size={PAGE_SIZE}")  # of a new file: `header` knows it
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
            f"cache_size=-{_CACHE_KIB}",  # or the header decides, whatever it says
            f"journal_size_limit={USUAL_LOG_BYTES}",
        ):
            connection.execute(f"PRAGMA {setting}").fetchall()
