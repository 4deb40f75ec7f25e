"""What is known of the outbox outside its file, so that a log that was cut is noticed.

SQLite recovers what is sound of its log, and says nothing of the rest. So after each commit
the newest id, and how many rows have left, are noted in the lock file. The note is not
synced, and need not be: after a power cut it may be older than the file, and then nothing is
claimed. A power cut leaves it newer only under ``durability="normal"``, where the last commits
themselves may be gone: that is told of, and those events are counted as lost.
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segops_durable.outbox.records.notes import read_note
from segops_durable.outbox.records.schema import COLUMNS, QUEUE
from segops_durable.outbox.records.seals import DamagedRecordError
from segops_durable.outbox.records.tally import FROM_TALLY, MOST_ID, Tally
from segops_durable.outbox.store.gate import lock_path

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.outbox.store.event_queue import EventQueue
    from segops_durable.outbox.store.gate import WriteGate

_RECORD = struct.Struct("<Iq")  # whose, and the number
_CHECK = struct.Struct("<I")
_SIZE = _RECORD.size + _CHECK.size
_LAST_ID, _REMOVED = 0, _SIZE
_THROUGHPUT = f"""
SELECT (SELECT max(_id) FROM {QUEUE} WHERE _id <= {MOST_ID}), {COLUMNS["tally"]}
{FROM_TALLY}
"""
_LACKS = "malformed: commits that were acknowledged are not there, or an older copy was restored"
_SINCE = f"SELECT count(*) FROM {QUEUE} WHERE _id > ?"


@dataclass(frozen=True)
class Throughput:
    """How many rows an outbox has taken in, and how many have left it.

    Attributes:
        last_id: The newest id ever given to a row.
        removed: How many rows have left.
    """

    last_id: int
    removed: int

    @property
    def waiting(self) -> int:
        """How many rows wait."""
        return self.last_id - self.removed

    def lacks(self, other: Throughput) -> int:
        """How many changes the other has that this one has not."""
        return max(0, other.last_id - self.last_id) + max(0, other.removed - self.removed)


class Ledger:
    """Two numbers in the lock file, each with its checksum. The caller is behind the gate.

    Args:
        gate: Whose lock file it is.

    Attributes:
        gate: After a fork it is another.
        last_id: The newest id ever given, as far as this process has noted it.
    """

    def __init__(self, gate: WriteGate) -> None:
        self.gate: WriteGate = gate
        self._owner = 0
        self.last_id: int = 0

    def noted(self, uuid: str) -> Throughput | None:
        """What was noted last for the outbox of that UUID, if any; None if nothing was."""
        return _throughput(self.gate.kept(0, 2 * _SIZE), _owner(uuid) if uuid else None)

    def begin(self, queue: EventQueue) -> None:
        """Note how a file stands that was opened just now; later notes are for it."""
        self._owner = _owner(uuid_of(queue.writer))
        here = throughput_of(queue.writer)
        if here is not None:
            self._note(here)

    def note(self, queue: EventQueue) -> None:
        """Note how the file stands; rows that it has not any more are not forgotten."""
        here, known = throughput_of(queue.writer), self._known()
        if here is not None:
            last_id = max(here.last_id, known.last_id if known else 0)
            self._note(Throughput(last_id, here.removed))

    def follows(self, queue: EventQueue, changes: int) -> bool:
        """Note a commit of rows alone whose ids follow what this process has noted last.

        Args:
            queue: The file.
            changes: How many rows of any table the commit has changed.

        Returns:
            Whether it is one; what is noted need not be read then: nobody has come in between.
        """
        newest_id = queue.newest_id
        if queue.inserted != changes or not newest_id or newest_id - changes != self.last_id:
            return False
        self.last_id = newest_id
        record = _RECORD.pack(self._owner, newest_id)
        self.gate.keep(_LAST_ID, record + _CHECK.pack(zlib.crc32(record)))
        return True

    def note_regular(self, queue: EventQueue, changes: int) -> bool:
        """Note how the file stands after a commit, if its ids follow those that were noted before.

        Ids are passed over where the tally, or a row's own, was damaged while it was in use.

        Args:
            queue: The file.
            changes: How many rows of any table the commit has changed.

        Returns:
            Whether they do; else nothing is noted.
        """
        known = self._known()
        if queue.newest_id and queue.inserted == changes:
            is_regular = known is None or queue.newest_id - changes == known.last_id
            if is_regular:
                self._write(queue.newest_id)
            return is_regular
        here = throughput_of(queue.writer)
        if here is not None and known is not None:
            if not _is_regular(queue.writer, here, known):
                return False
            here = Throughput(max(here.last_id, known.last_id), here.removed)
        if here is not None:
            self._note(here)
        return True

    def check(self, connection: sqlite3.Connection) -> None:
        """Make sure that a file has all that was noted of it, and no ids that were never given.

        Raises:
            sqlite3.DatabaseError: It lacks some.
            DamagedRecordError: Ids were passed over: one is not what was written.
        """
        known, here = self.noted(uuid_of(connection)), throughput_of(connection)
        if known is None or here is None:
            return
        if here.lacks(known):
            raise sqlite3.DatabaseError(_LACKS)
        if not _is_regular(connection, here, known):
            raise DamagedRecordError("the ids do not follow those that were given before")

    def note_commit(self, queue: EventQueue, changes: int) -> None:
        """Note how the file stands after a commit; one that only inserts says so itself."""
        if queue.newest_id and queue.inserted == changes:
            known = self._known()
            self._write(max(queue.newest_id, known.last_id if known else 0))
        else:
            self.note(queue)

    def _known(self) -> Throughput | None:
        return _throughput(self.gate.kept(0, 2 * _SIZE), self._owner)

    def _note(self, here: Throughput) -> None:
        self._write(here.last_id, here.removed)

    def _write(self, last_id: int, *removed: int) -> None:
        self.last_id = last_id
        records = [_RECORD.pack(self._owner, number) for number in (last_id, *removed)]
        data = b"".join([each + _CHECK.pack(zlib.crc32(each)) for each in records])
        self.gate.keep(_LAST_ID, data)


def throughput_beside(path: Path, uuid: str) -> Throughput | None:
    """What is noted beside an outbox file, for one who is not behind the gate.

    Args:
        path: The outbox file.
        uuid: Whose; empty for whosever.
    """
    lock = lock_path(path)
    if not lock.is_file():
        return None
    with lock.open("rb") as file:
        data = file.read(1 + 2 * _SIZE)[1:]  # the first byte is the lock's
    return _throughput(data, _owner(uuid) if uuid else None)


def _is_regular(connection: sqlite3.Connection, here: Throughput, known: Throughput) -> bool:
    """Whether each id since those that were noted is that of a row, there or gone."""
    if here.last_id <= known.last_id:
        return True
    (since,) = connection.execute(_SINCE, (known.last_id,)).fetchone()
    return bool(here.last_id - known.last_id <= since + max(0, here.removed - known.removed))


def _throughput(data: bytes, owner: int | None) -> Throughput | None:
    last_id, removed = (_number(data[at : at + _SIZE], owner) for at in (_LAST_ID, _REMOVED))
    return None if last_id is None or removed is None else Throughput(last_id, removed)


def _number(data: bytes, owner: int | None) -> int | None:
    record, check = data[: _RECORD.size], data[_RECORD.size :]
    if len(data) < _SIZE or _CHECK.pack(zlib.crc32(record)) != check:
        return None
    whose, number = _RECORD.unpack(record)
    return number if owner in {whose, None} else None


def throughput_of(connection: sqlite3.Connection) -> Throughput | None:
    """How a file stands; None where its numbers are damaged.

    By its rows and its sealed counters.
    """
    newest, *record = connection.execute(_THROUGHPUT).fetchone()
    tally = Tally.of(record)
    return None if tally is None else Throughput(max(tally.last_id, newest or 0), tally.removed)


def uuid_of(connection: sqlite3.Connection) -> str:
    """The UUID that a file has; empty if it has none yet."""
    return read_note(connection, "uuid") or ""


def _owner(uuid: str) -> int:
    return zlib.crc32(uuid.encode())
