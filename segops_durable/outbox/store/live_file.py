"""The connection to the file that is at the path now: opened, followed, mended, noted.

All of it happens behind the write gate; only readers need no more than the lock that keeps a
connection from being closed under them.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from segops_durable.errors import ReplacedOutboxError
from segops_durable.outbox.disk.files import file_id
from segops_durable.outbox.records.seals import DamagedRecordError
from segops_durable.outbox.store import replacing
from segops_durable.outbox.store.event_queue import is_poisoned
from segops_durable.outbox.store.failures import is_damage, is_full, is_read_only, is_shaky
from segops_durable.outbox.store.moving import move_to_new_inode
from segops_durable.outbox.store.recognizing import damaged
from segops_durable.system.locks import BoundedLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.errors import SegOpsError
    from segops_durable.outbox.store.event_queue import EventQueue
    from segops_durable.outbox.store.ledger import Ledger
    from segops_durable.outbox.store.opening import Opener
    from segops_durable.outbox.store.reserve import Reserve
    from segops_durable.system.descriptors import FileId

_T = TypeVar("_T")


class LiveFile:
    """The open connection to an outbox file, and what is done when it fails.

    Args:
        path: The file, absolute.
        opener: Opens it, whatever has become of it.
        ledger: What is known of it outside of it.
        reserve: What is given up for vital writes on a full disk.
        tell: Called with what happened to it.
        patience: Seconds to wait at most for a reader, or for who replaces the connection.
        mends: Whether what is damaged is mended.

    Attributes:
        is_read_here: Says whether the calling thread reads: true in a signal handler that
            interrupted it.
    """

    def __init__(
        self,
        path: Path,
        opener: Opener,
        ledger: Ledger,
        reserve: Reserve,
        tell: Callable[[SegOpsError], None],
        *,
        patience: float,
        mends: bool,
    ) -> None:
        self._path = path
        self._opener = opener
        self._ledger = ledger
        self._reserve = reserve
        self._tell = tell
        self._patience = patience
        self._mends = mends
        self.forget_readers()
        self._queue: EventQueue | None = None
        self._file: FileId | None = None
        self._look_at = 0.0  # when to look next whether it still is at the path
        self._is_shaky = False  # the connection met an error that may outlive its cause

    @property
    def is_at_path(self) -> bool:
        """Whether the file that is open is the one that is at the path."""
        return file_id(self._path) == self._file

    # Readers

    def look(self, action: Callable[[sqlite3.Connection], _T]) -> tuple[_T] | None:
        """Run an action that reads, on its own connection; None where none is open."""

        def look() -> tuple[_T] | None:
            if self._queue is None or self._queue.is_lost:
                return None
            return (action(self._queue.reader),)

        return self._reading.run(look)

    def keep_readers_out(self) -> bool:
        """Keep other threads from reading, for a fork; False if that cannot be."""
        return self._reading.acquire()

    def let_readers_in(self) -> None:
        """Let them read again."""
        self._reading.release()

    def forget_readers(self) -> None:
        """Start anew, in a child of a fork too: whoever reads there is a thread of the parent's."""
        self._reading = BoundedLock(self._patience)  # held while a connection is read, or swapped
        self.is_read_here: Callable[[], bool] = self._reading.is_mine

    # Behind the gate

    def check(self, queue: EventQueue) -> None:
        """Make sure that nothing of the file is gone, and no id is another; for an action.

        Raises:
            sqlite3.DatabaseError: It is.
        """
        self._ledger.check(queue.writer)

    def append(self, action: Callable[[EventQueue], _T]) -> _T:
        """Run an action that adds rows, where the file was seen at the path a moment ago.

        A file that was deleted, or replaced by another, has no name any more, and its descriptor
        says so, which is looked at anyway. To look at the path takes three times as long. One that
        was moved away goes on for that moment under its new name, and has what it is given.
        """
        queue = self._queue
        is_recent = (
            queue is not None
            and not self._is_shaky
            and time.monotonic() < self._look_at
            and queue.names()
        )
        return self.attempt(action, queue=queue if is_recent else None)

    def attempt(
        self,
        action: Callable[[EventQueue], _T],
        *,
        is_vital: bool = False,
        queue: EventQueue | None = None,
    ) -> _T:
        """Run an action; where the file can be mended, mend it and run the action again.

        Args:
            action: Called with the queue.
            is_vital: Whether the reserve is given up for it. Defaults to False.
            queue: What it is called with first. Defaults to the one that is at the path now.
        """
        if queue is None:  # `bool` says of persist-queue's whether something is in it
            queue = self.current()
        try:
            return self._noted(queue, action)
        except sqlite3.Error as error:
            _roll_back(queue)
            if not self._is_mended(queue, error, is_vital=is_vital):
                raise
        except BaseException:
            _roll_back(queue)
            raise
        queue = self.current()
        try:
            return self._noted(queue, action)
        except BaseException:
            _roll_back(queue)
            raise

    def _noted(self, queue: EventQueue, action: Callable[[EventQueue], _T]) -> _T:
        """Run an action, and note outside the file how it stands then."""
        queue.newest_id = queue.inserted = 0
        queue.writer.next_stamp = None  # of one that altered nothing
        queue.given = self._ledger.last_id
        before = queue.writer.total_changes
        result = action(queue)
        changes = queue.writer.total_changes - before
        if changes != queue.inserted:
            queue.writer.restamp()
        # it is committed. An error that came out of here would say that it is not, and whoever
        # tracked it would track it again; without the note the next start knows less, no more
        try:
            # a look writes nothing, at each attempt of an outage
            if changes and not self._ledger.follows(queue, changes):
                self._note(queue, changes)
        except (OSError, sqlite3.Error):
            return result
        return result

    def _note(self, queue: EventQueue, changes: int) -> None:
        if self._ledger.note_regular(queue, changes):
            return
        # rows that are missing as well take a salvage: the next look at the records, which fails,
        # has that done
        queue.writer.restamp()
        with suppress(sqlite3.Error):
            self._opener.mend(queue.writer, is_certain=True)
        self._ledger.note_commit(queue, changes)

    def _is_mended(self, queue: EventQueue, error: sqlite3.Error, *, is_vital: bool) -> bool:
        if queue.is_lost:
            return True  # `current` opens it anew, after the program closed our descriptors
        if not self._mends and is_damage(error):
            raise damaged(self._path, error)
        if self._are_records_mended(queue, error):
            return True
        if is_damage(error):
            self.replace(error)
            return True
        if is_read_only(error):
            # Linux may remount a file system read-only after an I/O error; but a flipped bit in
            # byte 18 of the header says the same, and opening it anew tells which it is
            self.drop()
            return True
        self._is_shaky = is_shaky(error)
        if is_vital and (is_full(error) or self._is_shaky) and self._reserve.give_up():
            # frames that it moves into the file are written over by the next commit, which so
            # needs no room that the disk has not
            with suppress(sqlite3.Error):
                queue.writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            return True
        return False

    def _are_records_mended(self, queue: EventQueue, error: sqlite3.Error) -> bool:
        """Mend records in their place, where that is all that is wrong; say if that was so."""
        # a damaged tally may have it that the next id is one that a row has, or that none can have
        is_certain = isinstance(error, DamagedRecordError)
        if not is_certain and not isinstance(error, sqlite3.IntegrityError):
            return False
        try:
            is_mended = self._opener.mend(queue.writer, is_certain=is_certain)
            if is_mended:
                self._ledger.note(queue)
        except (OSError, sqlite3.Error):
            return False  # it takes another file
        return is_mended or is_certain  # or another process has mended them meanwhile

    def current(self) -> EventQueue:
        """The open queue: opened if need be, and the one that is at the path now."""
        queue = self._queue
        if queue is None or self._is_shaky or queue.is_lost:
            self.drop()
            self._leave_what_was_lost()
            return self._adopt(self._opener.open())
        if self.is_at_path:
            self._look_at = time.monotonic() + replacing.LOOK_SECONDS
            return queue
        # where nothing is at the path any more, this connection alone still reads what waits: it is
        # closed once that is in a new file, however often the disk fails that before
        following = self._adopt(self._opener.follow(queue))
        queue.close()
        return following

    def replace(self, error: sqlite3.Error) -> None:
        """Set the file aside, and go on in a new one with what can be read of it."""
        self.drop()
        self._adopt(self._opener.open_afresh(error))

    def _leave_what_was_lost(self) -> None:
        """Move the file, if this process has lost connections to it: no other may be opened."""
        if is_poisoned(file_id(self._path)):
            move_to_new_inode(self._path)
            self._tell(
                ReplacedOutboxError(
                    f"the program closed the descriptors of {self._path}: a copy takes its place",
                    path=str(self._path),
                    hint="Let it close what it has opened itself, or nothing",
                )
            )

    def _adopt(self, queue: EventQueue) -> EventQueue:
        def adopt() -> EventQueue:
            self._queue = queue
            self._file = file_id(self._path)
            self._look_at = 0.0
            self._is_shaky = False
            return queue

        return self._reading.run(adopt)

    def drop(self) -> None:
        """Close the connections; the next use opens them again."""

        def drop() -> None:
            queue, self._queue = self._queue, None
            if queue is not None:
                queue.close()

        self._reading.run(drop)


def _roll_back(queue: EventQueue) -> None:
    """Leave no transaction open; SQLite may have rolled back by itself already."""
    queue.writer.next_stamp = None  # what failed may be in the file in part, or all of it
    queue.writer.restamp()
    try:
        if not queue.is_lost and queue.writer.in_transaction:
            queue.writer.execute("ROLLBACK")
    except sqlite3.Error:  # the first error is the one to report
        return
