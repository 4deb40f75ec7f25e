"""Group commit: one fsync for all the threads that wait for one.

The first thread to arrive opens a group and leads it: it waits for the write gate, and
whoever arrives meanwhile joins. Past the gate it lets those come who were let go just before,
closes the group, commits all its rows in one transaction, and lets the others go on. They
wake one another in a chain, each as the one before it gets going: waking them all at once
makes them fight for the interpreter and costs a quarter of the throughput.
"""

from __future__ import annotations

import copy
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from segops_durable.errors import (
    CheckpointConflictError,
    ConfigurationError,
    DamagedCheckpointError,
    QueueFullError,
    SegOpsError,
    StorageError,
)
from segops_durable.identity import NO_IDENTITY
from segops_durable.outbox.checkpoints import setting
from segops_durable.outbox.groups import Append, Group
from segops_durable.outbox.receipts import RepeatedRequestError
from segops_durable.outbox.records.lanes import allow_lanes
from segops_durable.outbox.records.rows import new_rows
from segops_durable.outbox.records.tally import Recount
from segops_durable.outbox.store.complaints import interrupted_error
from segops_durable.outbox.store.event_queue import FEW_ROWS
from segops_durable.outbox.store.gate import BRIEF_SECONDS
from segops_durable.outbox.store.log_size import cut_log, log_excess
from segops_durable.system.bell import Bell
from segops_durable.system.clock import Moment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from segops_durable.outbox.caps import Caps
    from segops_durable.outbox.records.rows import Also, Checkpoint, Entry, NewRowValues
    from segops_durable.outbox.store.event_queue import EventQueue
    from segops_durable.outbox.store.store import Store
    from segops_durable.system.clock import Clock


MAX_GROUP_ROWS = 256

_OF_ONE_CALL = (
    CheckpointConflictError,
    DamagedCheckpointError,
    QueueFullError,
    RepeatedRequestError,
)
"""What keeps the rows of one call from being stored, and not those of the others."""

_PATIENCE, _LEAST_PATIENCE = 1 / 4, 0.002
"""How long a group is waited for at most: a part of a commit, but so many seconds at least."""
_STEPS = 8
"""In so many looks; the first that finds nobody new is the last."""


class GroupCommit:
    """Stores events, those of many threads in one transaction.

    Args:
        store: The open outbox file.
        caps: What it may hold.
        clock: When events were tracked of which that is not said.
    """

    def __init__(self, store: Store, caps: Caps, clock: Clock) -> None:
        self._store = store
        self._caps = caps
        self._has_caps = caps.are_set
        self._clock = clock
        self._recount = Recount()
        self._open_group: Group | None = None
        self._arrivals = Bell()
        self._crowd = 0  # how many threads the last group had
        self._seconds = 0.0  # how long its commit took

    def append(
        self,
        events: Sequence[bytes],
        identity: str = NO_IDENTITY,
        moments: Sequence[Moment] | None = None,
        checkpoint: Checkpoint | None = None,
        priorities: Sequence[str] | None = None,
    ) -> None:
        """Store encoded events, all of them or none; durable when this returns.

        Args:
            events: The bytes that will be sent.
            identity: Whose they are.
            moments: When each was tracked; with an uptime where it does not say when it
                occurred. Defaults to now, for all of them.
            checkpoint: How far the job has come that they are from; stored with them.
            priorities: Which go first. Defaults to none: all are as any.

        Raises:
            ConfigurationError: The checkpoint is not one.
            QueueFullError: There is no room for them; nothing was stored.
            StorageError: They could not be stored, or it is unknown whether they were.
            ClosedError: The outbox is closed, or was opened by another process.
        """
        times = moments or [Moment(self._clock.time())] * len(events)
        rows = new_rows(events, identity, times, priorities)
        append = Append(rows, self._also(checkpoint, priorities))
        while not append.is_taken:
            self._store.check_writable()
            group = self._open_group
            if group is None:
                self._lead(append)
            elif not group.finished.locked():
                # a handler raised in its leader after the last statement that could close it:
                # whoever joined it would never be taken, and come back for ever
                self._close(group)
            elif group.leader == threading.get_ident():
                raise interrupted_error(self._store.path)
            else:
                self._follow(group, append)
        if append.error is not None:
            raise append.error

    def append_together(
        self, entries: Sequence[Entry], *, is_brief: bool = False
    ) -> list[SegOpsError | None]:
        """Store what several calls have to, in one transaction; durable when this returns.

        Args:
            entries: Of each call all is stored, or nothing.
            is_brief: Whether only a moment is waited for whoever has the outbox locked. Defaults
                to False: as long as `append` waits.

        Returns:
            For each, what `append` would raise for it alone; None where it was stored.

        Raises:
            BusyOutboxError: None was stored: another process or thread has it locked.
            StorageError: None could be stored, or it is unknown whether they were.
            ClosedError: The outbox is closed, or was opened by another process.
        """
        appends = [self._append_of(each) for each in entries]
        group = Group()
        group.appends = [each for each in appends if each.error is None]
        if group.appends:
            self._store.check_writable()
            seconds = BRIEF_SECONDS if is_brief else None
            self._store.append(partial(self._commit, group), seconds)
        return [each.error for each in appends]

    def _append_of(self, entry: Entry) -> Append:
        events, identity, moments, checkpoint, priorities, also = entry
        append = Append(new_rows(events, identity, moments, priorities))
        try:
            append.also = also or self._also(checkpoint, priorities)
        except ConfigurationError as error:
            append.error = error
        return append

    def _also(self, checkpoint: Checkpoint | None, priorities: Sequence[str] | None) -> Also | None:
        set_it = None if checkpoint is None else setting(checkpoint, self._store.path)
        if priorities is None:
            return set_it

        def allow_and_set(writer: sqlite3.Connection) -> None:
            allow_lanes(writer)
            if set_it is not None:
                set_it(writer)

        return allow_and_set

    def after_fork_in_child(self) -> None:
        """Leave the open group to the parent, where its leader is, and count the rows anew."""
        self._open_group = None
        self._arrivals = Bell()
        self._recount = Recount()

    def _lead(self, append: Append) -> None:
        group = Group()
        group.appends.append(append)
        with group.finished:  # given back whatever interrupts this, and only once
            try:
                self._open_group = group
                self._store.append(partial(self._commit, group))
            except BaseException as error:
                group.error = error
                raise
            finally:
                self._close(group)

    def _follow(self, group: Group, append: Append) -> None:
        group.appends.append(append)
        group.size += len(append.rows)
        if group.size >= MAX_GROUP_ROWS:
            self._close(group)
        if len(group.appends) >= group.wanted:
            self._arrivals.ring()
        # the leader has it until it is done. Having it for a moment, and giving it back, is what
        # wakes the next follower: one after the other. An Event would wake all of them at once,
        # to fight for CPython's interpreter lock
        with group.finished:
            pass
        has_failed = append.is_taken or isinstance(group.error, SegOpsError)
        if has_failed and not group.is_committed:
            raise self._for_this_thread(group.error)

    def _commit(self, group: Group, queue: EventQueue) -> None:
        if self._crowd > 1:
            self._gather(group)
        self._close(group)
        began = time.monotonic()
        appends = tuple(group.appends)
        rows: list[NewRowValues] = []
        has_more = self._has_caps
        for append in appends:
            append.is_taken = True
            rows += append.rows
            has_more = has_more or append.also is not None
        if has_more:
            self._insert_what_fits(queue, appends)
        # one row fits in any build of SQLite: its limit is asked for where there are more
        elif len(rows) > FEW_ROWS or (len(rows) > 1 and len(rows) > queue.most_rows):
            queue.writer.execute("BEGIN IMMEDIATE")
            queue.insert_all(rows)
            queue.writer.execute("COMMIT")
        elif rows:
            queue.insert(rows)
        group.is_committed = True
        self._crowd, self._seconds = len(appends), time.monotonic() - began

    def _gather(self, group: Group) -> None:
        """Let threads join that were let go with the last group, and are about to come again.

        They come one after the other, as they wake one another and have the interpreter. Who
        looked after each of them would take it from the next. So the last one that is expected
        ends the wait; nobody is waited for for long who does not come.
        """
        patience = max(_LEAST_PATIENCE, self._seconds * _PATIENCE)
        group.wanted, end = self._crowd, time.monotonic() + patience
        before, here = 0, len(group.appends)
        while before < here < self._crowd and time.monotonic() < end:
            self._arrivals.wait(patience / _STEPS)
            before, here = here, len(group.appends)

    def _insert_what_fits(self, queue: EventQueue, appends: Sequence[Append]) -> None:
        """Store the calls for which there is room, in one transaction."""
        if self._caps.max_bytes is not None and log_excess(self._store.path):
            # a commit cuts the log once its reader has gone. Where the log alone is what fills the
            # outbox, every append is refused and nothing commits: it would stay full for ever
            cut_log(queue.writer)
        queue.writer.execute("BEGIN IMMEDIATE")
        for append in appends:
            append.error = self._insert_if_it_fits(queue, append)
        queue.writer.execute("COMMIT")

    def _insert_if_it_fits(self, queue: EventQueue, append: Append) -> SegOpsError | None:
        queue.writer.execute("SAVEPOINT append")
        try:
            if append.also is not None:
                append.also(queue.writer)
            if self._has_caps:
                self._caps.admit(queue.writer, append.rows, self._store.path, self._recount)
        except _OF_ONE_CALL as error:
            # with it come back the oldest rows, which may have been dropped to make room: these
            # are not stored, and none may be lost for them
            queue.writer.execute("ROLLBACK TO append")
            return error
        finally:
            queue.writer.execute("RELEASE append")
        queue.insert_all(append.rows)
        return None

    def _close(self, group: Group) -> None:
        if self._open_group is group:
            self._open_group = None

    def _for_this_thread(self, error: BaseException | None) -> SegOpsError:
        """A new error for each follower: a traceback belongs to one thread."""
        if isinstance(error, SegOpsError):
            return copy.copy(error)
        cause = "" if error is None else f" ({type(error).__name__})"
        failure = StorageError(
            f"the commit to {self._store.path} was interrupted{cause}",
            path=str(self._store.path),
            hint="Whether the event is stored is unknown",
        )
        failure.__cause__ = error
        return failure
