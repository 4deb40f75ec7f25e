"""The queue on disk.

What it promises:

1. When `append` returns, the events survive ``kill -9`` at any instant, and under
   ``durability="full"`` a power cut at any instant. If it raises, their fate is unknown,
   and never silently so.
2. A row leaves for four reasons only: SegOps accepted it; it goes to the dead letters in the
   same transaction, because SegOps refused it for good or because it is not what was stored;
   a cap that the user set makes the oldest give way, which is counted; or the user has
   everything of a person erased. Nothing leaves the dead letters but by the user's word.
3. What is sent is what was stored, byte for byte, in batches that are written down before
   they are sent: a crash re-sends the batch that was in flight, unchanged, with its key. A
   batch that is refused as a whole is halved, on disk. Only the time of an event that did
   not say its own may change before that, if the clock was set in the same boot.
4. Any process may append. One at a time is the sender, and the kernel frees its place
   when it dies.
5. Opening does not read the rows, however many wait; and it succeeds on a damaged file, which
   is set aside, and of which all that can be read goes on. What is lost is counted.
6. No connection is open, and no lock held, while the process forks.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING, Any

from segops_durable.clock import Clock, Moment, corrected
from segops_durable.identity import NO_IDENTITY
from segops_durable.outbox.batches import Batches
from segops_durable.outbox.caps import NO_CAPS, Caps
from segops_durable.outbox.carrying import Owner, Place, export_lines, load_lines, remove_up_to
from segops_durable.outbox.checkpoints import read_checkpoint, setting
from segops_durable.outbox.commit import GroupCommit
from segops_durable.outbox.dead_letters import DeadLetters
from segops_durable.outbox.event_queue import ADD_LOST, LAST_ID, LOST, QUEUE
from segops_durable.outbox.files import refuse_network_filesystem
from segops_durable.outbox.forgetting import forget
from segops_durable.outbox.ownership import ANONYMOUS_ID, SET_META, bind, renew_anonymous_id
from segops_durable.outbox.rows import (
    Batch,
    Checkpoint,
    Counts,
    Row,
    Settlement,
    Take,
    Taken,
    new_row,
)
from segops_durable.outbox.sending_place import SendingPlace
from segops_durable.outbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from segops_durable.errors import SegOpsError
    from segops_durable.options import Durability, Options

_log = logging.getLogger("segops_durable")

_PEEK = f"""
SELECT _id, data, timestamp, crc, identity, uptime, boot FROM {QUEUE} ORDER BY _id LIMIT ?
"""
_COUNTS = f"""
SELECT
    ({LAST_ID}),
    CAST(removed AS INTEGER),
    CAST(accepted AS INTEGER),
    CAST(dropped AS INTEGER),
    ({LOST}),
    CAST(last_accepted_at AS REAL),
    (SELECT count(*) FROM dead_letters),
    (SELECT CAST(timestamp AS REAL) FROM {QUEUE} ORDER BY _id LIMIT 1),
    (SELECT CAST(uptime AS REAL) FROM {QUEUE} ORDER BY _id LIMIT 1),
    (SELECT CAST(boot AS INTEGER) FROM {QUEUE} ORDER BY _id LIMIT 1)
FROM tally
"""


class Outbox:
    """The queue on disk; this module's docstring has its contract.

    Args:
        path: The file, absolute; made if it is not there.
        api_url: Whose events these are: an outbox serves one SegOps for life.
        key_fingerprint: A hash of the API key, to notice that it was rotated.
        durability: ``full`` (power cuts) or ``normal`` (kills). Defaults to ``full``.
        caps: What it may hold. Defaults to no limit.
        allow_network_filesystem: Open the file wherever it is. Defaults to False.
        clock: The time. Defaults to the machine's.

    Raises:
        StorageError: The file cannot be opened.
        ConfigurationError: The file belongs to another `api_url`.
    """

    def __init__(
        self,
        path: Path,
        *,
        api_url: str,
        key_fingerprint: str,
        durability: Durability = "full",
        caps: Caps = NO_CAPS,
        allow_network_filesystem: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.path = path
        self._clock = clock or Clock()
        self._caps = caps
        self._api_url = api_url
        self._key_fingerprint = key_fingerprint
        self._sending_place = SendingPlace(path)
        if not allow_network_filesystem:
            refuse_network_filesystem(path)
        self._store = Store(path, durability, self._bind)
        self._commit = GroupCommit(self._store, caps)
        self._batches = Batches(self._store, lambda: self._uuid, self._clock)
        self.dead_letters = DeadLetters(self._store)

    @classmethod
    def of(cls, options: Options, path: Path, clock: Clock) -> Outbox:
        """Open an outbox as options say.

        Raises:
            StorageError: The file cannot be opened.
            ConfigurationError: The file belongs to another `api_url`.
        """
        return cls(
            path,
            api_url=options.api_url,
            key_fingerprint=options.key_fingerprint,
            durability=options.durability,
            caps=Caps(
                options.max_queue_events,
                options.max_queue_bytes,
                drops_oldest=options.overflow == "drop_oldest",
            ),
            allow_network_filesystem=options.allow_network_filesystem,
            clock=clock,
        )

    def append(
        self,
        events: Sequence[bytes],
        identity: str = NO_IDENTITY,
        moments: Sequence[Moment] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        """Store encoded events, all of them or none; durable when this returns.

        Args:
            events: The bytes that will be sent.
            identity: Whose they are.
            moments: When each was tracked; with an uptime where it does not say when it
                occurred. Defaults to now, for all of them.
            checkpoint: How far the job has come that they are from; stored with them.

        Raises:
            ConfigurationError: The checkpoint is not one.
            StorageError: They could not be stored, or it is unknown whether they were.
            ClosedError: The outbox is closed, or was opened by another process.
        """
        times = moments or [Moment(self._clock.time())] * len(events)
        also = None if checkpoint is None else setting(checkpoint)
        self._commit.append(list(map(new_row, events, times, [identity] * len(events))), also)

    def checkpoint(self, name: str) -> Any:  # noqa: ANN401 - whatever the job has stored
        """The position that was stored last under a name; None if there is none."""
        return read_checkpoint(self._store, name)

    def try_become_sender(self) -> bool:
        """Become, or remain, the one sender among all processes; say whether that is so."""
        return self._sending_place.try_take()

    def resign_as_sender(self) -> None:
        """Let another process send. Safe to call when this one is not the sender."""
        self._sending_place.leave()

    def note_as_sender(self, note: dict[str, Any]) -> None:
        """Leave a note for other processes, if this one is the sender; not kept for long."""
        self._sending_place.leave_note(note)

    def sender_note(self) -> dict[str, Any] | None:
        """What the process that sends says of itself; None if nobody sends."""
        return self._sending_place.note()

    def identities(self) -> list[str]:
        """Whose events wait, those with the oldest first; `NO_IDENTITY` may be left out."""
        return self._batches.identities()

    def take(self, take: Take) -> Taken:
        """Take an identity's next batch, marked in flight on disk. Only the sender may."""
        return self._batches.take(take)

    def settle(self, settlement: Settlement, then: Take | None) -> Taken:
        """Remove an answered batch and take the next, if one is wanted, in one transaction."""
        return self._batches.settle(settlement, then)

    def assign(self, batch: Batch, identity: str) -> Batch:
        """Write down as whose a batch of `WHOEVER` is sent; return it so."""
        return self._batches.assign(batch, identity)

    def halve(self, batch: Batch, then: Take | None) -> Taken:
        """Make two batches of one that was refused as a whole, and take the next."""
        return self._batches.halve(batch, then)

    def release(self, batch: Batch, then: Take | None) -> Taken:
        """Let a batch's rows be taken anew, and take the next, if one is wanted."""
        return self._batches.release(batch, then)

    def keep_retry_at(self, unix_time: float) -> None:
        """Write down when SegOps allows the next request, for whoever sends it."""
        self._set_meta("retry_at", repr(unix_time))

    def retry_at(self) -> float:
        """When SegOps allows the next request, in Unix time; 0 if it never forbade one."""
        found = self._store.read("SELECT value FROM meta WHERE name = 'retry_at'")
        return float(found[0][0]) if found else 0.0

    def keep_key(self, key_fingerprint: str) -> None:
        """Write down that the API key was replaced."""
        self._set_meta("key", key_fingerprint)
        self._key_fingerprint = key_fingerprint

    def counts(self) -> Counts:
        """Say how the outbox stands; the cost does not grow with what waits."""
        found = self._store.read(_COUNTS)[0]
        last_id, removed, accepted, dropped, lost, accepted_at, dead, *oldest = found
        return Counts(
            pending=last_id - removed,
            dead=dead,
            accepted_total=accepted,
            dropped_total=dropped,
            lost_total=lost,
            last_id=last_id,
            oldest_at=self._shown_now(*oldest),
            last_accepted_at=accepted_at,
            queue_bytes=self._store.size(),
        )

    def count_of(self, identities: Sequence[str]) -> dict[str, int]:
        """How many events of each of these identities wait; the cost grows with the answer."""
        sql = f"SELECT count(*) FROM {QUEUE} WHERE identity = ?{{}}"
        by_index = " AND identity <> ''"
        return {
            each: self._store.read(sql.format(by_index if each else ""), (each,))[0][0]
            for each in identities
        }

    def has_rows_up_to(self, row_id: int) -> bool:
        """Whether a row of that id or an older one still waits."""
        return bool(self._store.read(f"SELECT 1 FROM {QUEUE} WHERE _id <= ? LIMIT 1", (row_id,)))

    def count_after(self, row_id: int) -> int:
        """How many rows newer than that id wait."""
        sql = f"SELECT count(*) FROM {QUEUE} WHERE _id > ?"
        count: int = self._store.read(sql, (row_id,))[0][0]
        return count

    def anonymous_id(self) -> str:
        """The id of the device's visitor, which any process may have made anew."""
        found = self._store.read(ANONYMOUS_ID)
        return str(found[0][0]) if found else self.renew_anonymous_id()

    def renew_anonymous_id(self) -> str:
        """Make a new id, and return it: the next visitor is another person."""
        return self._store.transact(renew_anonymous_id)

    def forget(self, name: str) -> int:
        """Erase all that waits of a person, and of their dead letters; return how many.

        Raises:
            StorageError: The file cannot be written, or its log is in use; then some of it
                may still be on disk.
        """
        return forget(self._store, name)

    def peek(self, limit: int) -> list[Row]:
        """The oldest events that wait, damaged ones as well."""
        return [Row(*found) for found in self._store.read(_PEEK, (limit,))]

    def look_after(self) -> None:
        """Notice a file that vanished or was replaced; for the sender, between batches."""
        self._store.look_after()

    def exported(self, last_id: int) -> Iterator[bytes]:
        """Yield the waiting events up to an id as lines of JSON, to be carried by hand."""
        return export_lines(self._store, Owner(self._uuid, self._api_url), last_id)

    def load(self, lines: Sequence[bytes], before: Place) -> Place:
        """Store exported lines that are not here yet; return the place after them.

        Raises:
            ConfigurationError: A line is none, or is for another `api_url`, or was exported
                from this very outbox.
            QueueFullError: There is no room for them.
            StorageError: They could not be stored.
        """
        own = Owner(self._uuid, self._api_url)
        return load_lines(self._store, self._caps, own, lines, before)

    def remove_exported(self, last_id: int) -> int:
        """Remove waiting events up to that id, which were exported; return how many.

        Only the sender may: nobody else must be sending them.
        """
        return remove_up_to(self._store, last_id)

    def repair(self, problem: str) -> None:
        """Set the file aside, and go on in a new one with all that can be read of it."""
        self._store.replace_damaged(sqlite3.DatabaseError(f"malformed: {problem}"))

    def tidy(self) -> int:
        """Give back room after a drain; return how many rows vanished without a trace.

        A damaged WAL loses rows without an error, and only the counters know of them. For
        the sender, when nothing is left to send.
        """
        self._store.shrink()
        if not self.counts().pending or self.has_rows_up_to(self.counts().last_id):
            return 0
        return self._store.transact(_reckon)

    def pop_incidents(self) -> list[SegOpsError]:
        """What happened to the file since the last call, oldest first."""
        incidents = self._store.incidents
        return [incidents.popleft() for _ in range(len(incidents))]

    def check_writable(self) -> None:
        """Raise what `append` would raise for a closed, forked or interrupted outbox."""
        self._store.check_writable()

    def before_fork(self) -> bool:
        """Let go of the file, and keep everyone out; False if that cannot be."""
        if not self._store.before_fork():
            return False
        self._sending_place.before_fork()
        return True

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._sending_place.after_fork_in_parent()
        self._store.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Start anew: the parent's threads, and its place as the sender, stayed with it."""
        self._sending_place.after_fork_in_child()
        self._store.after_fork_in_child()
        self._commit = GroupCommit(self._store, self._caps)

    def close(self, timeout: float = 5.0) -> None:
        """Close the file. Safe to call twice; nothing durable depends on it."""
        self._store.close(timeout)

    def _bind(self, writer: sqlite3.Connection) -> None:
        """Make sure that a file that was opened is ours, and learn its identities."""
        self._uuid = bind(writer, self.path, self._api_url, self._key_fingerprint)

    def _shown_now(
        self, wall: float | None, uptime: float | None, boot: int | None
    ) -> float | None:
        """When something happened, as far as is known now."""
        if wall is None:
            return None
        now = corrected(Moment(wall, uptime, boot), self._clock.moment())
        return wall if now is None else now

    def _set_meta(self, name: str, value: str) -> None:
        self._store.transact(lambda writer: writer.execute(SET_META, (name, value)))


def _reckon(writer: sqlite3.Connection) -> int:
    """Make the counters fit the rows that are there; return how many are not."""
    sql = f"SELECT ({LAST_ID}) - removed - (SELECT count(*) FROM {QUEUE}) FROM tally"
    missing: int = writer.execute(sql).fetchone()[0]
    writer.execute("UPDATE tally SET removed = removed + ?", (missing,))
    writer.execute(ADD_LOST, (max(0, missing),))
    return missing
