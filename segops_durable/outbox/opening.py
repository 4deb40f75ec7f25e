"""Opening the outbox file, whatever has become of it.

- It is there and well: its schema is brought up to date.
- It is damaged: it is set aside, and what can be read of it goes into a new file.
- It vanished while it was open: the open connection still reads what waits; that goes into
  a new file, too.
- Another file took its place: that one is opened.

All but the first are told of as incidents.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from segops_durable.errors import DamagedOutboxError, ReplacedOutboxError, StorageError
from segops_durable.outbox.damage import Salvage, is_damage, salvage
from segops_durable.outbox.event_queue import SCHEMA_VERSION, SHAPE, UPGRADES, EventQueue
from segops_durable.outbox.files import (
    companions,
    file_id,
    make_private_directory,
    make_private_file,
    set_aside,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.errors import SegOpsError
    from segops_durable.options import Durability


class Opener:
    """Opens one outbox file, again and again. The caller is behind the write gate.

    Args:
        path: The file, absolute.
        durability: ``full`` or ``normal``.
        prepare: Called with the writing connection of each file that was opened.
        tell: Called with each incident.
    """

    def __init__(
        self,
        path: Path,
        durability: Durability,
        prepare: Callable[[sqlite3.Connection], None],
        tell: Callable[[SegOpsError], None],
    ) -> None:
        self._path = path
        self._durability = durability
        self._prepare = prepare
        self._tell = tell

    def open(self) -> EventQueue:
        """Open the file that is at the path, or make it.

        Raises:
            StorageError: It is of a version of the future.
            ConfigurationError: It belongs to another `api_url`.
            sqlite3.Error: It cannot be opened.
        """
        self._make_file()
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            # the header may say that it must not be written, where the file says nothing so
            is_forbidden = "readonly" in str(error) and os.access(self._path, os.W_OK)
            if not is_damage(error) and not is_forbidden:
                raise
            return self.open_afresh(error)

    def open_afresh(self, error: sqlite3.Error) -> EventQueue:
        """Set a damaged file aside, and go on in a new one with what can be read of it."""
        aside = set_aside(self._path)
        saved = Salvage(0, 0, None)  # until more is known; the file is kept in any case
        try:
            with closing(sqlite3.connect(f"{aside.as_uri()}?mode=ro", uri=True)) as source:
                queue, saved = self._make_of(source)
        finally:
            self._tell(self._damaged(aside, error, saved))
        return queue

    def follow(self, old: EventQueue) -> EventQueue:
        """Go on with what is at the path now, or with a new file if nothing is."""
        if file_id(self._path) is not None:
            queue = self.open()
            self._tell(self._replaced("was replaced by another file"))
            return queue
        if any(each.exists() for each in companions(self._path)):
            set_aside(self._path)
        queue, saved = self._make_of(old.reader)
        self._tell(self._replaced(f"was deleted or moved; {saved.events} events were carried over"))
        return queue

    def _make_file(self) -> None:
        is_new = file_id(self._path) is None
        if is_new and any(each.exists() for each in companions(self._path)):
            # SQLite would read a stranger's log into the new file
            aside = set_aside(self._path)
            self._tell(self._replaced(f"is gone; its log is kept as {aside.name}-wal"))
        make_private_directory(self._path.parent)
        make_private_file(self._path)

    def _connect(self) -> EventQueue:
        queue = EventQueue(self._path, self._durability)
        try:
            version = _version_of(queue.reader)
            self._check_version(version)
            _upgrade(queue, version)
            _check_shape(queue.reader)
            self._prepare(queue.writer)
        except BaseException:
            queue.close()
            raise
        return queue

    def _make_of(self, source: sqlite3.Connection) -> tuple[EventQueue, Salvage]:
        """Make a new file with what can be read of another."""
        make_private_directory(self._path.parent)
        make_private_file(self._path)
        queue = EventQueue(self._path, self._durability)
        try:
            _upgrade(queue, 0)
            saved = salvage(source, queue.writer)
            self._prepare(queue.writer)
        except BaseException:
            queue.close()
            raise
        return queue, saved

    def _check_version(self, version: int) -> None:
        if version > SCHEMA_VERSION:
            raise StorageError(
                f"{self._path} has schema version {version}, this package knows {SCHEMA_VERSION}",
                path=str(self._path),
                hint="Upgrade segops-durable, or give another queue_path",
            )

    def _damaged(self, aside: Path, error: sqlite3.Error, saved: Salvage) -> DamagedOutboxError:
        lost = "an unknown number" if saved.lost is None else str(saved.lost)
        return DamagedOutboxError(
            f"the outbox {self._path} was damaged ({error}): {saved.events} waiting events and "
            f"{saved.letters} dead letters were saved, {lost} lost",
            path=str(aside),
            saved=saved.events,
            lost=saved.lost,
            hint=f"The damaged file is kept as {aside.name}; check the disk",
        )

    def _replaced(self, what: str) -> ReplacedOutboxError:
        return ReplacedOutboxError(
            f"the outbox {self._path} {what}",
            path=str(self._path),
            hint="Let nothing but this package touch it while it is open",
        )


def _version_of(reader: sqlite3.Connection) -> int:
    """The schema's version, which is written down twice: in the header a flip goes unnoticed."""
    version: int = reader.execute("PRAGMA user_version").fetchone()[0]
    is_ours = reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
    if is_ours:
        noted = reader.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
        if noted is not None and noted[0] != str(version):
            raise sqlite3.DatabaseError(f"malformed header: version {version}, not {noted[0]}")
    elif version:
        raise sqlite3.DatabaseError("malformed schema: it has no meta table")
    return version


def _check_shape(reader: sqlite3.Connection) -> None:
    for sql in SHAPE:
        reader.execute(sql).fetchall()
    tally = reader.execute("SELECT removed, accepted, dropped FROM tally WHERE id = 1").fetchone()
    if tally is None or not all(isinstance(each, int) for each in tally):
        raise sqlite3.DatabaseError("malformed tally")


def _upgrade(queue: EventQueue, version: int) -> None:
    if version < SCHEMA_VERSION:
        steps = "".join(UPGRADES[version:])
        stamp = f"PRAGMA user_version = {SCHEMA_VERSION};"
        stamp += f"INSERT OR REPLACE INTO meta VALUES ('schema', '{SCHEMA_VERSION}');"
        queue.writer.executescript(f"BEGIN IMMEDIATE;{steps}{stamp}COMMIT;")
