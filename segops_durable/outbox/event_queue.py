"""The SQLite file: its schema, its PRAGMAs and its connections.

`EventQueue` is persist-queue's `SQLiteQueue` with its extension points filled in: the table
gains a checksum and an identity, and connections get the settings that make a commit
durable. Its `get`, acknowledgement and pickling are left alone: they delete before the
event is sent, commit per row, and run code that someone may have planted in the file.
"""

from __future__ import annotations

import os
import sqlite3
from itertools import chain
from typing import TYPE_CHECKING

import persistqueue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from segops_durable.options import Durability
    from segops_durable.outbox.rows import NewRow

QUEUE = "queue_outbox"
"""The table that persist-queue makes: its `queue_` prefix and our queue's name."""

LAST_ID = f"""SELECT max(
    coalesce((SELECT CAST(seq AS INTEGER) FROM sqlite_sequence WHERE name = '{QUEUE}'), 0),
    coalesce((SELECT max(_id) FROM {QUEUE}), 0)
)"""
"""The newest id ever given to a row."""

SHAPE = (
    f"SELECT _id, data, timestamp, crc, identity, uptime, boot FROM {QUEUE} LIMIT 0",
    "SELECT name, value FROM meta LIMIT 0",
    "SELECT first_id, last_id, row_count, identity, batch_key, assigned FROM in_flight LIMIT 0",
    "SELECT _id, row_id, data, identity, tracked_at FROM dead_letters LIMIT 0",
    "SELECT died_at, reason, status, answer, cause FROM dead_letters LIMIT 0",
    "SELECT name, position, at FROM checkpoints LIMIT 0",
    "SELECT source, first_id, last_id FROM carried LIMIT 0",
)
"""What fails to compile where the schema is damaged."""

LOST = "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'lost'), 0)"
ADD_LOST = f"INSERT OR REPLACE INTO meta VALUES ('lost', CAST(({LOST}) + ? AS TEXT))"
"""How many waiting events the disk has taken, as far as it is known."""

IS_FREE = """_id > coalesce((
    SELECT last_id FROM in_flight
    WHERE first_id <= row._id AND in_flight.identity = row.identity
    ORDER BY first_id DESC LIMIT 1
), 0)"""
"""Whether a `row` of the queue is in no batch."""

MOST_ROWS = 1000
"""Rows in one INSERT; SQLite has a limit of parameters."""

_BUSY_SECONDS = 60.0
_WAL_PAGES = 100
_WAL_BYTES = 1 << 20

_FIRST_SCHEMA = f"""
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
"""
_WITH_CAUSES = """
ALTER TABLE dead_letters ADD COLUMN cause TEXT NOT NULL DEFAULT 'skipped';
UPDATE dead_letters SET cause = 'damaged' WHERE status IS NULL;
"""

_WITH_DROPS = "ALTER TABLE tally ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0;"

_WITH_UPTIMES = f"""
ALTER TABLE {QUEUE} ADD COLUMN uptime REAL;
ALTER TABLE {QUEUE} ADD COLUMN boot INTEGER;
ALTER TABLE in_flight ADD COLUMN assigned TEXT NOT NULL DEFAULT '';
CREATE INDEX in_flight_identity ON in_flight (identity, first_id);
"""

_WITH_CHECKPOINTS = """
CREATE TABLE checkpoints (
    name TEXT PRIMARY KEY, position TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE carried (
    source TEXT NOT NULL, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL,
    PRIMARY KEY (source, first_id)
) WITHOUT ROWID;
"""

UPGRADES = (_FIRST_SCHEMA, _WITH_CAUSES, _WITH_DROPS, _WITH_UPTIMES, _WITH_CHECKPOINTS)
"""What makes each version of the schema out of the one before, from an empty file on."""

SCHEMA_VERSION = len(UPGRADES)


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
    _SQL_INSERT = (
        "INSERT INTO {table_name} (data, timestamp, crc, identity, uptime, boot)"
        " VALUES (?, ?, ?, ?, ?, ?)"
    )

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
        """Insert rows with one statement; more than `MOST_ROWS` with several.

        One statement commits them all or none; around several there has to be a transaction.
        It lets go of the interpreter once, where `executemany` does it for every row, and
        every time another thread may take it: with 16 threads that is a third of the
        throughput.
        """
        for start in range(0, len(rows), MOST_ROWS):
            some = rows[start : start + MOST_ROWS]
            more = ", (?, ?, ?, ?, ?, ?)" * (len(some) - 1)
            self.writer.execute(self._insert + more, tuple(chain.from_iterable(some)))

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
