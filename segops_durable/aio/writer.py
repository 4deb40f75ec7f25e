"""The thread that stores what the tasks of all loops have tracked, those that wait in one commit.

One thread, with a queue: `asyncio.to_thread` would have each event commit on one of up to 32
threads, which fight for the interpreter and for the disk. Measured on 2 cores, 1,000 tasks at once:
36 us an event, against 214. One after another there is nothing to share: 464 us against 428, of
which either way 200 are for waking a thread and the loop.
"""

from __future__ import annotations

import copy
import os
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from segops_durable.aio.calls import Call, Work
from segops_durable.aio.inner import InnerClient
from segops_durable.aio.loops import tell_all
from segops_durable.aio.outgoing import Outgoing
from segops_durable.delivery import FlushResult
from segops_durable.errors import ClosedError, QueueFullError, SegOpsError, StorageError
from segops_durable.system.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.aio.loops import Loop, Outcome
    from segops_durable.client import Options
    from segops_durable.intake import Draft
    from segops_durable.outbox import Checkpoint, Entry

_MOST_ROWS = 500
"""Events in one commit; those of one call are never divided."""
_MOST_AT_ONCE = 2000
"""What is taken from the queue at once, so that nobody waits for those who come later."""


class Writer:
    """Opens the client within, and stores events, on a thread of its own; one for each process.

    Args:
        options: Of the client.
        inner: It, where a parent of this process has opened it.

    Attributes:
        is_open: Whether the client can be used in this process.
        inner: The client; None until it is open.
    """

    def __init__(self, options: Options, inner: InnerClient | None) -> None:
        self.is_open: bool = False
        self.inner: InnerClient | None = inner
        self._options = options
        self._inbox: SimpleQueue[list[Call | Work]] = SimpleQueue()
        self._worker = Worker("segops-writer", self._run)
        self._ends = threading.Event()
        self._full: list[Call] = []  # they wait for room
        self._here = threading.local()

    # On the thread of a loop

    async def open(self, loop: Loop) -> InnerClient:
        """Open the client, unless that is done; whoever is cancelled here stops waiting only.

        Raises:
            SegOpsError: As the constructor of `SegOpsClient`.
        """
        if not self.is_open:
            await self._have_done(loop, Work(loop, self._open))
        assert self.inner is not None  # noqa: S101 - for the type checker
        return self.inner

    async def store(self, loop: Loop, draft: Draft, checkpoint: Checkpoint | None = None) -> int:
        """Store the events of a draft, all or none; they are durable when this returns.

        Returns:
            How many there were.

        Raises:
            SegOpsError: As `Intake.store`.
        """
        return int(await self._have_done(loop, Call(loop, draft, checkpoint)))

    async def _have_done(self, loop: Loop, item: Call | Work) -> Any:  # noqa: ANN401 - whatever it gives
        outgoing: Outgoing | None = getattr(self._here, "outgoing", None)
        if outgoing is None or outgoing.loop is not loop:
            outgoing = self._here.outgoing = Outgoing(loop, self._deliver)
        outgoing.add(item)
        return await item.waiter.outcome()

    def hand_over(self) -> None:
        """Have what the tasks of this loop have tracked until now stored before it ends."""
        outgoing: Outgoing | None = getattr(self._here, "outgoing", None)
        if outgoing is not None:
            outgoing.hand_over()

    def _deliver(self, items: list[Call | Work]) -> None:
        self._inbox.put(items)
        if self._worker.is_over:
            self._refuse_what_is_left()
        elif not self._worker.is_running:
            try:
                self._worker.start()
            except RuntimeError as error:
                self._refuse_what_is_left(error)

    # On a thread that may wait

    def shut_down(self, timeout: float | None) -> FlushResult:
        """Store what was handed over, end the thread, and shut the client down.

        Args:
            timeout: Seconds for all of it. Defaults to the option `shutdown_timeout`.
        """
        end = time.monotonic() + (self._options.shutdown_timeout if timeout is None else timeout)
        self._ends.set()
        self._inbox.put([])
        if self._worker.is_running:
            self._worker.wait_for_end(max(0.0, end - time.monotonic()))
        if self.inner is None:
            return FlushResult(sent=0, pending=0, dead=0, blocked=False)
        return self.inner.shutdown(max(0.0, end - time.monotonic()))

    # The thread

    def _run(self) -> None:
        try:
            while not self._is_done():
                self._work_on(self._arrived())
        finally:
            # after this nobody takes what is put there: whoever puts it sees that it is over
            self._worker.is_over = True
            self._refuse_what_is_left()

    def _is_done(self) -> bool:
        return self._ends.is_set() and self._inbox.empty() and not self._full

    def _arrived(self) -> list[Call | Work]:
        """Wait for what is next: those that wait for room go first."""
        items: list[Call | Work] = [*self._full]
        if self._full:
            self._full = []
            self._wait_for_room()
        else:
            items += self._inbox.get()
        with suppress(Empty):
            while len(items) < _MOST_AT_ONCE:
                items += self._inbox.get_nowait()
        return items

    def _wait_for_room(self) -> None:
        if self.inner is not None and not self._ends.is_set():
            with suppress(SegOpsError):
                self.inner.make_room(self.inner.patience)

    def _work_on(self, items: Sequence[Call | Work]) -> None:
        """Do it in order, the events of calls that follow each other in one commit."""
        calls: list[Call] = []
        entries: list[Entry] = []
        rows = 0
        for each in items:
            if isinstance(each, Work):
                self._store(calls, entries)
                calls, entries, rows = [], [], 0
                _do(each)
                continue
            try:
                entry = each.entry()
            except BaseException as error:  # noqa: BLE001 - it is the waiting task's
                tell_all([(each.loop, each.waiter, None, error)])
                continue
            if rows and rows + len(entry.events) > _MOST_ROWS:
                self._store(calls, entries)
                calls, entries, rows = [], [], 0
            calls.append(each)
            entries.append(entry)
            rows += len(entry.events)
        self._store(calls, entries)

    def _store(self, calls: Sequence[Call], entries: Sequence[Entry]) -> None:
        if not calls:
            return
        assert self.inner is not None  # noqa: S101 - a draft is made by it
        errors: Sequence[BaseException | None]
        try:
            errors = self.inner.store_together(entries)
        except BaseException as error:  # noqa: BLE001 - likewise
            errors = [_for_one(error) for _ in calls]
        outcomes: list[Outcome] = []
        for call, entry, failure in zip(calls, entries, errors, strict=True):
            if isinstance(failure, QueueFullError) and self._is_patient(call):
                self._full.append(call)
            else:
                outcomes.append((call.loop, call.waiter, len(entry.events), failure))
        tell_all(outcomes)

    def _is_patient(self, call: Call) -> bool:
        """Whether a call for which there is no room waits until there is."""
        patience = 0.0 if self.inner is None or self._ends.is_set() else self.inner.patience
        if call.give_up_at is None:
            call.give_up_at = time.monotonic() + patience
        return not self._ends.is_set() and time.monotonic() < call.give_up_at

    def _open(self) -> None:
        if self.inner is None:
            self.inner = InnerClient.of(self._options)
        elif not self.is_open:
            self.inner.wake()
        self.is_open = True

    def _refuse_what_is_left(self, failure: RuntimeError | None = None) -> None:
        with suppress(Empty):
            while True:
                for each in self._inbox.get_nowait():
                    error = closed_error() if failure is None else self._without_thread(failure)
                    tell_all([(each.loop, each.waiter, None, error)])

    def _without_thread(self, failure: RuntimeError) -> StorageError:
        return StorageError(
            f"nothing was stored, as no thread can be started ({failure})",
            path=str(self._options.outbox_path),
            hint="Raise the limit of threads",
        )


class Writers:
    """The writer of each process that has used the client: a thread does not survive a fork.

    A child leaves the parent's alone: its queue may have been in use at the fork, and what is in
    there is the parent's to store.

    Args:
        options: Of the client.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._all: dict[int, Writer] = {}

    def here(self) -> Writer:
        """That of this process."""
        pid = os.getpid()
        found = self._all.get(pid)
        if found is None:
            # two threads may come here at once; one of theirs is taken
            found = self._all.setdefault(pid, Writer(self._options, self.inner))
        return found

    @property
    def inner(self) -> InnerClient | None:
        """The client within; None until this process, or a parent of it, has opened it."""
        writers = list(self._all.values())[::-1]
        return next((each.inner for each in writers if each.inner is not None), None)

    @property
    def is_used_here(self) -> bool:
        """Whether there is one of this process."""
        return os.getpid() in self._all


def closed_error() -> ClosedError:
    """The error for a call that comes too late."""
    return ClosedError("the client is shut down", hint="Make a new AsyncSegOpsClient")


def _do(work: Work) -> None:
    try:
        result = work.action()
    except BaseException as error:  # noqa: BLE001 - it is the waiting task's
        tell_all([(work.loop, work.waiter, None, error)])
    else:
        tell_all([(work.loop, work.waiter, result, None)])


def _for_one(error: BaseException) -> BaseException:
    """An error of its own for each task: a traceback belongs to one."""
    return copy.copy(error) if isinstance(error, SegOpsError) else error
