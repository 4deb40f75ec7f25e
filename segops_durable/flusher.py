"""The one thread that sends: take a batch, send it, settle it, take the next.

It wakes when a batch's worth of events waits, at every flush interval, and when somebody
flushes. A *round* sends until nothing is left or something fails; after a failed round the
next one waits, a little longer each time, and every event stays where it is: on disk.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segops_durable.backoff import Pause, retry_after_seconds, send_with_retries
from segops_durable.errors import (
    ClosedError,
    DamagedEventError,
    SegOpsError,
    SkippedEventsError,
    StorageError,
)
from segops_durable.outbox import Batch, Letter, Outbox, Settlement, Take, Taken
from segops_durable.status import FlushResult, State
from segops_durable.verdicts import Meaning, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.transport import Transport

_log = logging.getLogger("segops_durable")

_POLL_SECONDS = 0.05
_WORTH_RETRYING = {Meaning.UNREACHABLE, Meaning.NOT_SEGOPS}
_STATES = {
    Meaning.BUSY: State.RATE_LIMITED,
    Meaning.CREDENTIALS: State.UNAUTHORISED,
    Meaning.WRONG_ADDRESS: State.UNAUTHORISED,
    Meaning.NOT_SEGOPS: State.NOT_SEGOPS,
}
_BLOCKED = {State.RATE_LIMITED, State.UNAUTHORISED}


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast the flusher goes; `Options` has the meaning of each."""

    batch_size: int
    wake_at: int  # waiting events that wake the thread; fewer wait for the interval
    flush_interval: float
    max_retries: int
    longest_round: float  # seconds that a failing round may take, for flushes by others


class Flusher:
    """The sending thread.

    Args:
        outbox: Where batches come from.
        transport: Where they go.
        pace: How fast.
        report: Called with each error, on this thread; it must not raise.
    """

    def __init__(
        self,
        outbox: Outbox,
        transport: Transport,
        pace: Pace,
        report: Callable[[SegOpsError], None],
    ) -> None:
        self._outbox = outbox
        self._transport = transport
        self._pace = pace
        self._report = report
        self._pause = Pause(pace.flush_interval)
        self._stop = threading.Event()
        # reentrant: a signal handler may flush or shut down in the middle of a call
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._fresh = 0  # events appended since the last round began
        self._requested = 0  # flushes asked for
        self._served = 0  # the newest of them that a whole round has answered
        self._waiting_identities = False
        self._state = State.IDLE
        self._thread = threading.Thread(target=self._run, name="segops-flusher", daemon=True)

    @property
    def state(self) -> State:
        """What the thread is doing."""
        return self._state

    def start(self) -> None:
        """Start the thread; its first round sends what an earlier process left."""
        self._thread.start()

    def notice(self, events: int) -> None:
        """Hear of newly stored events; the thread wakes when they fill a batch."""
        with self._lock:
            before = self._fresh
            self._fresh += events
            if before < self._pace.wake_at <= self._fresh:  # once: a wake-up costs every writer
                self._changed.notify_all()

    def flush(self, timeout: float | None) -> FlushResult:
        """Ask for a round and wait until all queued before is settled, or the round ends.

        Args:
            timeout: Seconds to wait at most; None waits for as long as a round may take.
        """
        self._outbox.check_writable()
        before = self._outbox.counts()
        with self._lock:
            self._requested += 1
            request = self._requested
            self._changed.notify_all()
        self._await(request, before.last_id, timeout)
        after = self._outbox.counts()
        pending = self._outbox.count_up_to(before.last_id)
        return FlushResult(
            sent=after.accepted_total - before.accepted_total,
            pending=pending,
            dead=after.dead - before.dead,
            blocked=pending > 0 and (self._state in _BLOCKED or self._waiting_identities),
        )

    def stop(self, timeout: float) -> bool:
        """End the thread, and any wait it is in; say whether it ended in `timeout` seconds."""
        self._stop.set()
        with self._lock:
            self._changed.notify_all()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def _await(self, request: int, last_id: int, timeout: float | None) -> None:
        patience = self._pace.longest_round if timeout is None else timeout
        deadline = time.monotonic() + patience
        while self._outbox.has_rows_up_to(last_id):
            with self._lock:
                left = deadline - time.monotonic()
                is_answered = self._served >= request and self._state is not State.STANDBY
                if is_answered or left <= 0 or not self._thread.is_alive():
                    return
                if self._state is State.STANDBY:
                    # the sender's place may be free by now; the round that finds it so counts
                    self._requested = request = self._requested + 1
                    self._changed.notify_all()
                elif timeout is None:
                    deadline = time.monotonic() + patience  # this process's own round will end
                # another process's progress makes no noise here, so look again soon
                self._changed.wait(min(left, _POLL_SECONDS))

    # The thread

    def _run(self) -> None:
        try:
            minimum = 1
            while not self._stop.is_set():
                self._guarded_round(minimum)
                minimum = self._sleep()
        finally:
            self._outbox.resign_as_sender()
            self._state = State.CLOSED
            with self._lock:
                self._changed.notify_all()

    def _sleep(self) -> int:
        """Wait for the next round; return how many rows a batch needs to be sent in it."""
        with self._lock:
            wait = self._pause.remaining or self._pace.flush_interval
            is_timed_out = not self._changed.wait_for(self._is_due, wait)
            is_asked = self._requested > self._served
        return 1 if is_timed_out or is_asked else self._pace.wake_at

    def _is_due(self) -> bool:
        if self._stop.is_set() or self._requested > self._served:
            return True
        return self._fresh >= self._pace.wake_at and not self._pause.remaining

    def _guarded_round(self, minimum: int) -> None:
        """Run a round; whatever goes wrong is reported, and the thread lives on."""
        with self._lock:
            self._fresh = 0
            request = self._requested
            if request > self._served:
                minimum = 1  # it was asked for since the thread woke
        try:
            if not self._pause.is_ordered:
                self._round(minimum)
        except ClosedError:
            self._stop.set()
        except Exception as error:  # noqa: BLE001 - nothing may end this thread silently
            self._state = State.BACKING_OFF
            self._pause.lengthen()
            self._report(_as_reported(error, self._outbox))
        finally:
            with self._lock:
                self._served = request
                self._changed.notify_all()

    def _round(self, minimum: int) -> None:
        if not self._outbox.try_become_sender():
            self._state = State.STANDBY
            return
        skip: list[str] = []
        taken = self._outbox.take(self._then(minimum, skip))
        while not self._stop.is_set():
            self._report_damage(taken)
            batch = taken.batch
            if batch is None:
                self._end_well(skip)
                return
            self._state = State.SENDING
            verdict, attempts = self._send(batch)
            if verdict.meaning is Meaning.ACCEPTED:
                taken = self._accept(batch, verdict, self._then(minimum, skip))
            elif verdict.meaning is Meaning.IDENTITY:
                skip.append(batch.identity)
                self._report_verdict(batch, verdict, attempts)
                taken = self._outbox.take(self._then(minimum, skip))
            else:
                self._fail(batch, verdict, attempts)
                return

    def _then(self, minimum: int, skip: list[str]) -> Take:
        return Take(self._pace.batch_size, minimum, tuple(skip))

    def _send(self, batch: Batch) -> tuple[Verdict, int]:
        return send_with_retries(
            lambda: self._transport.send(batch),
            is_worth_retrying=lambda verdict: verdict.meaning in _WORTH_RETRYING,
            max_retries=self._pace.max_retries,
            stop=self._stop,
        )

    def _accept(self, batch: Batch, verdict: Verdict, then: Take) -> Taken:
        """Settle an accepted batch; one with skipped events is kept in the dead letters.

        SegOps does not say which events it skipped, so the copy is of the whole batch.
        """
        size = len(batch.rows)
        letter = None
        if verdict.skipped:
            reason = f"{verdict.skipped} of {size} refused, the server does not say which"
            letter = Letter(reason, verdict.status)
        settlement = Settlement(batch, accepted=size - verdict.skipped, letter=letter)
        taken = self._outbox.settle(settlement, then)
        self._pause.reset()
        with self._lock:
            self._changed.notify_all()
        if letter is not None:
            error = SkippedEventsError(
                f"SegOps skipped events: {letter.reason}",
                batch_size=size,
                attempts=1,
                status=verdict.status,
                hint="The batch is kept in the dead letters",
            )
            error.skipped = verdict.skipped
            self._report(error)
        return taken

    def _fail(self, batch: Batch, verdict: Verdict, attempts: int) -> None:
        """End the round. Whatever was not accepted stays, as the same batch."""
        self._state = _STATES.get(verdict.meaning, State.BACKING_OFF)
        self._pause.lengthen(at_least=retry_after_seconds(verdict.retry_after))
        if not self._stop.is_set():
            self._report_verdict(batch, verdict, attempts)

    def _end_well(self, skipped_identities: list[str]) -> None:
        self._state = State.IDLE
        self._waiting_identities = bool(skipped_identities)
        if not skipped_identities:
            self._pause.reset()

    def _report_verdict(self, batch: Batch, verdict: Verdict, attempts: int) -> None:
        self._report(verdict.as_error(batch_size=len(batch.rows), attempts=attempts))

    def _report_damage(self, taken: Taken) -> None:
        if taken.damaged:
            self._report(
                DamagedEventError(
                    f"{taken.damaged} stored events do not match their checksums",
                    batch_size=taken.damaged,
                    hint="They are kept in the dead letters; check the disk",
                )
            )


def _as_reported(error: Exception, outbox: Outbox) -> SegOpsError:
    if isinstance(error, SegOpsError):
        return error
    wrapped = StorageError(
        f"a round ended in {type(error).__name__}: {error}",
        path=str(outbox.path),
        hint="The events wait on disk; please report this",
    )
    wrapped.__cause__ = error
    return wrapped
