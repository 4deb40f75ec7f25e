"""The queue on disk; `FORMAT.md`, beside this file, says what is there.

What it promises:

1. When `commit.append` returns, the events survive ``kill -9`` at any instant, and under
   ``durability="full"`` a power cut at any instant. If it raises, their fate is unknown,
   and never silently so.
2. A row leaves for five reasons only: SegOps accepted it; it goes to the dead letters in the
   same transaction, because SegOps refused it for good, because it is not what was stored, or
   because it has waited for longer than the user wants it sent; a cap that the user set makes
   the oldest give way, which is counted; the user has everything of a person erased; or has it
   carried to another outbox (`adopt`, ``export --remove``). Nothing leaves the dead letters but
   by the user's word.
3. What is sent is what was stored, byte for byte, in batches that are written down before
   they are sent: a crash re-sends the batch that was in flight, unchanged, with its key. A
   batch that is refused as a whole is halved, on disk. Only the time of an event that did
   not say its own may change before that, if the clock was set in the same boot.
4. Any process may append. One at a time is the sender, and the kernel frees its place
   when it dies. From one that is stopped the place can be taken: it sees that before it sends
   another batch, so it repeats the one that it was in, at most, under its key.
5. Opening does not read the rows, however many wait; and it succeeds on a damaged file, which
   is set aside, and of which all that can be read goes on. What is lost is counted.
6. No connection is open, and no lock held, while the process forks.
"""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from segops_durable.outbox.adoption import Adopted, Adoption
from segops_durable.outbox.batches import Batches
from segops_durable.outbox.caps import NO_CAPS, Caps
from segops_durable.outbox.checkpoints import Checkpoints
from segops_durable.outbox.commit import GroupCommit
from segops_durable.outbox.dead_letters import DeadLetters
from segops_durable.outbox.disk.files import refuse_network_filesystem
from segops_durable.outbox.erasure import Erasure
from segops_durable.outbox.expiry import Expiry
from segops_durable.outbox.owner import Binding, Owner
from segops_durable.outbox.records.notes import read_note, write_note
from segops_durable.outbox.records.order import Left, Order, order_as_text, order_of
from segops_durable.outbox.sender_lock import SenderLock
from segops_durable.outbox.skipped import SkippedBatches
from segops_durable.outbox.store.complaints import interrupted_error
from segops_durable.outbox.store.gate import LOCK_TIMEOUT
from segops_durable.outbox.store.mending import check_records
from segops_durable.outbox.store.scanning import DamagedRecords, give_up_damaged
from segops_durable.outbox.store.store import Store
from segops_durable.outbox.transfer import Transfer
from segops_durable.outbox.waiting import Waiting
from segops_durable.system.clock import Clock, was_just_booted_since
from segops_durable.system.trusted_paths import real_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from segops_durable.errors import SegOpsError, StorageError
    from segops_durable.outbox.store.event_queue import Durability


class Outbox:
    """The queue on disk; this module's docstring has its contract.

    Args:
        path: The file, absolute, or a symbolic link to it; made if it is not there.
        api_url: Whose events these are: an outbox serves one SegOps for life.
        key_fingerprint: A hash of the API key, to notice that it was rotated.
        durability: ``full`` (power cuts) or ``normal`` (kills). Defaults to ``full``.
        caps: What it may hold. Defaults to no limit.
        max_age: Seconds that an event may wait to be sent. Defaults to None: any time.
        allow_network_filesystem: Open the file wherever it is. Defaults to False.
        lock_timeout: Seconds to wait for a process that holds the file and does nothing.
        clock: The time. Defaults to the machine's.
        mends: Mend what is damaged; else it is refused. Defaults to True.
        uuid: The first part of its batches' keys, where the same events must have the same keys
            again in another file. Defaults to one that is drawn, and kept in the file.

    Attributes:
        path: The file itself, also where a link was given.
        commit: Stores events.
        owner: Whose it is, and who it is.
        sender_lock: Held by the one process that sends.
        expiry: Has go to the dead letters what has waited too long.
        batches: What is on its way out.
        waiting: What waits: how much, and whose.
        dead_letters: What is not sent any more.
        skipped: What is learnt later of batches of which SegOps skipped events.
        checkpoints: How far jobs have come.
        erasure: Erases what waits of a person.
        transfer: Carries what waits by hand, in lines of JSON.

    Raises:
        StorageError: The file cannot be opened.
        ConfigurationError: The file belongs to another `api_url`, or never was an outbox.
    """

    def __init__(
        self,
        path: Path,
        *,
        api_url: str,
        key_fingerprint: str,
        durability: Durability = "full",
        caps: Caps = NO_CAPS,
        max_age: float | None = None,
        allow_network_filesystem: bool = False,
        lock_timeout: float = LOCK_TIMEOUT,
        clock: Clock | None = None,
        mends: bool = True,
        uuid: str | None = None,
    ) -> None:
        path = real_path(path)  # by a link it would have locks of its own
        self.path: Path = path
        if not allow_network_filesystem:
            refuse_network_filesystem(path)
        self._clock = clock = clock or Clock()
        self._news: deque[SegOpsError] = deque()  # to tell besides what the store has
        self._binding = Binding(path, api_url, key_fingerprint, self.tell, uuid)
        self._store = store = Store(path, durability, self._binding.bind, lock_timeout, mends=mends)
        self.commit: GroupCommit = GroupCommit(store, caps, clock)
        self.owner: Owner = Owner(store, self._binding)
        self.sender_lock: SenderLock = SenderLock(path)
        self.expiry: Expiry = Expiry(store, clock, max_age)
        self.batches: Batches = Batches(store, self.owner, caps, clock, self.expiry)
        self.waiting: Waiting = Waiting(store, clock)
        self.dead_letters: DeadLetters = DeadLetters(store, clock, self.tell)
        self.skipped: SkippedBatches = SkippedBatches(store)
        self.checkpoints: Checkpoints = Checkpoints(store)
        self.erasure: Erasure = Erasure(store)
        self.transfer: Transfer = Transfer(store, caps, self.owner)
        self._binding.log_new_key()

    def keep_order(self, seconds: float, later: float) -> None:
        """Write down for how long SegOps wants no request, for whoever sends the next.

        Args:
            seconds: What it asked for.
            later: What was drawn to be waited beyond that.
        """
        text = order_as_text(Order(seconds, self._clock.moment(), later))
        self._store.transact(lambda writer: write_note(writer, "retry_at", text))

    def order_left(self) -> Left:
        """For how long SegOps wants no request, and what was drawn beyond; 0 if it is over."""
        text = self._store.look(partial(read_note, name="retry_at"))
        order = None if text is None else order_of(text)
        return Left(0.0, 0.0) if order is None else order.left(self._clock.moment())

    def keep_rate(self, kept: Mapping[str, Any]) -> None:
        """Note at which rate requests are made, for whoever sends the next; it may be lost.

        Args:
            kept: What that one goes on with; `wait` are the seconds until its next turn.
        """
        order = Order(kept["wait"], self._clock.moment())
        self.sender_lock.leave_rate({**kept, "wait": json.loads(order_as_text(order))})

    def kept_rate(self) -> dict[str, Any] | None:
        """What was noted of it, with what is left of `wait`; None if nothing was.

        `unused` are the seconds since that was over. `is_after_power_cut` says whether the machine
        was started since, just now.
        """
        kept = self.sender_lock.rate()
        order = None if kept is None else order_of(json.dumps(kept.get("wait")))
        if kept is None or order is None:
            return None
        now = self._clock.moment()
        is_after_power_cut = was_just_booted_since(order.since, now)
        times = {
            "wait": order.left(now).seconds,
            "unused": max(0.0, order.passed(now) - order.seconds),
        }
        return {**kept, **times, "is_after_power_cut": is_after_power_cut}

    def look_after(self) -> None:
        """Notice a file that vanished or was replaced, or records that are damaged.

        For the sender, between batches.
        """
        self._store.look_after()
        self._store.look(check_records)

    def adopt(self, source: Outbox) -> Adopted:
        """Move here all that waits in another outbox; the caller is its sender.

        Raises:
            StorageError: One of the files cannot be read or written; call it again.
        """
        return Adoption(source._store, self._store, source.owner.uuid).run()

    def repair(self, problem: str) -> None:
        """Set the file aside, and go on in a new one with all that can be read of it."""
        self._store.replace_damaged(sqlite3.DatabaseError(f"malformed: {problem}"))

    def give_up_damaged(self) -> DamagedRecords:
        """Remove damaged checkpoints, and damaged notes of what was loaded; say which.

        By the user's word alone: those jobs, and those files, begin anew.
        """
        return self._store.transact(give_up_damaged)

    def tidy(self) -> None:
        """Give back room after a drain. For the sender, when nothing is left to send."""
        self._store.shrink()

    def tell(self, error: SegOpsError) -> None:
        """Have something told of with what happened to the file."""
        self._news.append(error)

    def pop_incidents(self) -> list[SegOpsError]:
        """What happened to the file since the last call, oldest first."""
        self._binding.log_new_key()
        incidents = self._store.incidents
        incidents.extendleft(self._news.popleft() for _ in range(len(self._news)))
        return [incidents.popleft() for _ in range(len(incidents))]

    def incidents_are_told(self) -> None:
        """Note that what `pop_incidents` gave was told: else the next start tells it again."""
        self._store.incidents_are_told()

    def check_writable(self) -> None:
        """Raise what `commit.append` would raise for a closed, forked or interrupted outbox."""
        self._store.check_writable()

    def interrupted(self) -> StorageError:
        """The error for a signal handler whose call would wait for what it interrupted."""
        return interrupted_error(self.path)

    def before_fork(self) -> bool:
        """Let go of the file, and keep everyone out; False if that cannot be."""
        if not self._store.before_fork():
            return False
        has_let_go = False
        try:
            self.sender_lock.before_fork()
            has_let_go = True
        finally:  # as in `Store.before_fork`
            if not has_let_go:
                self._store.after_fork_in_parent()
        return has_let_go

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self.sender_lock.after_fork_in_parent()
        self._store.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Start anew: the parent's threads, and its place as the sender, stayed with it."""
        self.sender_lock.after_fork_in_child()
        self._store.after_fork_in_child()
        self.commit.after_fork_in_child()

    def close(self, timeout: float = 5.0) -> None:
        """Close the file. Safe to call twice; nothing durable depends on it."""
        self._store.close(timeout)
