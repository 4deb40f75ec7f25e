"""Opening the outbox file, whatever has become of it.

- It is there and well: its schema is brought up to date.
- It, or its log, is damaged, or its log alone is left: what can be read of it goes into a new
  file, which takes its place.
- It vanished, or was replaced by an empty one, while it was open: the open connection still
  reads what waits; that goes into a new file, too.
- Another file took its place: that one is opened. What waits in the one before is kept in a copy,
  if open connections alone still have it.

All but the first are told of as incidents. A new file is complete before it takes the
place of the old one, so that whoever is interrupted leaves nothing half done.
"""

from __future__ import annotations

import shlex
import sqlite3
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from segops_durable.errors import MendedOutboxError, ReplacedOutboxError, StorageError
from segops_durable.outbox.disk.files import check_database, companions, file_id, make_private_file
from segops_durable.outbox.disk.header import SIZE, user_version
from segops_durable.outbox.disk.holding import opened
from segops_durable.outbox.records.incidents import Incident, noted_incidents
from segops_durable.outbox.records.schema import LANES_VERSION, SCHEMA_VERSION, SHAPE
from segops_durable.outbox.records.seals import DamagedRecordError
from segops_durable.outbox.store.event_queue import EventQueue
from segops_durable.outbox.store.failures import is_damage
from segops_durable.outbox.store.inspection import inspect
from segops_durable.outbox.store.keeping import Keeping, forget_kept, note_carried_over
from segops_durable.outbox.store.ledger import uuid_of
from segops_durable.outbox.store.mending import check_records, mend_records
from segops_durable.outbox.store.recognizing import damaged, refuse_stranger
from segops_durable.outbox.store.replacing import Replacing
from segops_durable.outbox.store.successors import Successors
from segops_durable.outbox.store.upgrading import upgrade, upgrade_alone, version_of
from segops_durable.system.private_files import make_private_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.errors import SegOpsError
    from segops_durable.outbox.store.event_queue import Durability
    from segops_durable.outbox.store.ledger import Ledger
    from segops_durable.outbox.store.mending import Mended


class Opener:
    """Opens one outbox file, again and again. The caller is behind the write gate.

    Args:
        path: The file, absolute.
        durability: ``full`` or ``normal``.
        prepare: Called with the writing connection of each file that was opened.
        tell: Called with each incident.
        ledger: What is known of the file outside it.
        busy_seconds: How long SQLite waits for another process.
        mends: Whether what is damaged is mended; else it is refused.

    Attributes:
        has_told: Whether it has told what is noted in the file as not told yet.
    """

    def __init__(
        self,
        path: Path,
        durability: Durability,
        prepare: Callable[[sqlite3.Connection], None],
        tell: Callable[[SegOpsError], None],
        ledger: Ledger,
        *,
        busy_seconds: float,
        mends: bool,
    ) -> None:
        self._mends = mends
        self._path = path
        self._open_queue = partial(EventQueue, durability=durability, busy_seconds=busy_seconds)
        self._prepare = prepare
        self._tell = tell
        self._ledger = ledger
        self._replacing = Replacing(path, self._open_queue)
        self._successors = Successors(path, self._open_queue, ledger.noted)
        self._keeping = Keeping(path, self._replacing.aside)
        self._told: set[str] = set()
        self.has_told: bool = False

    def open(self, *, is_quiet: bool = False) -> EventQueue:
        """Open the file that is at the path, or make it.

        Args:
            is_quiet: Whether what is noted in it is left for others to tell. Defaults to False.

        Raises:
            StorageError: It is of a version of the future, or damaged and not to be mended.
            ConfigurationError: It belongs to another `api_url`, or never was an outbox.
            sqlite3.Error: It cannot be opened.
        """
        self._replacing.finish()
        refuse_stranger(self._path)
        self._make_file()
        try:
            inspect(self._path, self._ledger.noted)
            return self._connect(is_quiet=is_quiet)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return self.open_afresh(error)

    def open_afresh(self, error: sqlite3.Error) -> EventQueue:
        """Set a damaged file aside, and go on in a new one with what can be read of it.

        Raises:
            StorageError: Nothing is to be mended.
        """
        if not self._mends:
            raise damaged(self._path, error)
        incident = self._incident(str(error))
        self._replacing.replace(partial(self._successors.fill_from_wreck, incident), incident)
        return self._connect()

    def follow(self, old: EventQueue) -> EventQueue:
        """Go on with what is at the path now, or with a new file if nothing is."""
        if file_id(self._path) is not None and not self._is_emptied():
            before = self._keeping.keep(old)
            # the process that has replaced it tells why: two would tell of one incident
            queue = self.open(is_quiet=True)
            if not before.is_moved:
                self._tell(self._replaced(before.kept))
            return queue
        incident = self._incident()
        self._replacing.replace(
            partial(self._successors.fill_from_connection, old, incident), incident
        )
        note_carried_over(old)
        return self._connect()

    def mend(self, writer: sqlite3.Connection, *, is_certain: bool = False) -> bool:
        """Mend records where they are, and tell of it; say whether anything was wrong.

        Args:
            writer: The writing connection.
            is_certain: Whether something is known to be wrong. Defaults to False.

        Raises:
            sqlite3.DatabaseError: They cannot be mended in this file.
        """
        if not self._mends:
            check_records(writer)
            return False
        noted = None
        with suppress(DamagedRecordError):  # then it is to be mended without
            uuid = uuid_of(writer)
            noted = self._ledger.noted(uuid) if uuid else None
        mended = mend_records(writer, noted, is_certain=is_certain)
        for each in mended:
            self._tell(self._mended(each))
        return bool(mended)

    def _incident(self, problem: str = "") -> Incident:
        return Incident(self._replacing.aside(), self._replacing.digest(), problem)

    def _make_file(self) -> None:
        is_new = file_id(self._path) is None
        if is_new and any(each.exists() for each in companions(self._path)):
            # SQLite deletes a log that it finds beside a new file, unread; and beside another
            # file that somebody puts there, it plays it into that one
            problem = "it is gone, and its log was left"
            incident = self._incident(problem)
            self._replacing.replace(partial(self._successors.fill_from_wreck, incident), incident)
        make_private_directory(self._path.parent)
        make_private_file(self._path)

    def _connect(self, *, is_quiet: bool = False) -> EventQueue:
        if self._may_be_older():
            upgrade_alone(self._path)
        queue = self._open_queue(self._path)
        try:
            check_database(self._path)  # somebody may have put a log there meanwhile
            version = version_of(queue.reader)
            self._check_version(version)
            upgrade(queue.writer, version)
            forget_kept(queue.writer)
            _check_shape(queue.reader)
            self.mend(queue.writer)
            news = [each for each in noted_incidents(queue.reader) if not each.is_told]
            # one that was salvaged has fewer rows than were noted, and its incident says how many
            if not news:
                self._ledger.check(queue.reader)
            self._prepare(queue.writer)
            self._ledger.begin(queue)
        except BaseException:
            queue.close()
            raise
        if is_quiet:
            self._told.update(each.aside for each in news)
        self._tell_of(news)
        return queue

    def _may_be_older(self) -> bool:
        with opened(self._path) as file:
            version = user_version(file.read(SIZE))
        # a new file has none in its header until its log was moved into it
        is_new = not version and not companions(self._path)[0].exists()
        return version < SCHEMA_VERSION and not is_new

    def _tell_of(self, news: list[Incident]) -> None:
        for each in news:
            if each.aside not in self._told:
                self._told.add(each.aside)
                self.has_told = True
                self._tell(each.as_error(self._path))

    def _is_emptied(self) -> bool:
        """Whether nothing is in the file at the path: the open connection still has it all."""
        try:
            return not self._path.stat().st_size
        except FileNotFoundError:
            return False

    # What is said of it

    def _check_version(self, version: int) -> None:
        if version > LANES_VERSION:
            raise StorageError(
                f"{self._path} has schema version {version}, this package knows {LANES_VERSION}",
                path=str(self._path),
                hint="Upgrade segops-durable, or give another queue_path",
            )

    def _mended(self, mended: Mended) -> MendedOutboxError:
        return MendedOutboxError(
            f"{mended.what} in {self._path} were damaged, and are mended",
            path=str(self._path),
            hint="Nothing is lost by it; check the disk",
        )

    def _replaced(self, kept: Path | None) -> ReplacedOutboxError:
        text = f"the outbox {self._path} was replaced by another file"
        hint = "Let nothing but this package touch it while it is open"
        if kept is not None:
            text += f"; what waited in the one before is kept in {kept.name}"
            hint += f". To send that as well: segops-durable adopt {shlex.quote(str(kept))}"
        return ReplacedOutboxError(text, path=str(self._path), hint=hint)


def _check_shape(reader: sqlite3.Connection) -> None:
    for sql in SHAPE:
        reader.execute(sql).fetchall()
