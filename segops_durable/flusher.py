"""The one thread that sends, and those who wait for it.

It wakes when a batch's worth of events waits, at every flush interval, and when somebody
flushes. A *round* sends until nothing is left or something fails; after a failed round the
next one waits, a little longer each time, and every event stays where it is: on disk.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from segops_durable.errors import ClosedError, SegOpsError, StorageError
from segops_durable.status import FlushResult, State

if TYPE_CHECKING:
    from datetime import datetime

    from segops_durable.clock import Clock
    from segops_durable.outbox import Outbox
    from segops_durable.reporting import Reporter
    from segops_durable.sender import Pace, Sender
    from segops_durable.upkeep import Upkeep

_POLL_SECONDS = 0.05


class Flusher:
    """The sending thread.

    Args:
        outbox: What is sent.
        sender: Who sends it, on this thread.
        upkeep: Who looks after the file.
        pace: How fast.
        wake_at: Waiting events that wake the thread; fewer wait for the interval.
        report: Where errors go.
        stop: Set to end the thread and whatever it waits for.
        clock: What the thread waits by.
    """

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        upkeep: Upkeep,
        pace: Pace,
        *,
        wake_at: int,
        report: Reporter,
        stop: threading.Event,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._upkeep = upkeep
        self._pace = pace
        self._wake_at = wake_at
        self._report = report
        self._stop = stop
        self._clock = clock
        # reentrant: a signal handler may flush or shut down in the middle of a call
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._fresh = 0  # events appended since the last round began
        self._is_room_wanted = False  # somebody waits for room in a full queue
        self._requested = 0  # rounds asked for
        self._note: dict[str, str | None] = {}
        self._served = 0  # the newest of them that a whole round has answered
        self._thread = threading.Thread(target=self._run, name="segops-flusher", daemon=True)

    @property
    def state(self) -> State:
        """What the thread is doing."""
        is_over = self._thread.ident is not None and not self._thread.is_alive()
        return State.CLOSED if is_over else self._sender.state

    @property
    def retry_at(self) -> datetime | None:
        """When what failed is tried again by itself, UTC; None if nothing failed."""
        return self._sender.retry_at

    @property
    def held(self) -> tuple[str, ...]:
        """The identities for which there was no session when they were last tried."""
        return self._sender.held

    def start(self) -> None:
        """Start the thread; its first rounds send what an earlier process left."""
        if self._outbox.counts().pending:
            self._sender.stagger()  # after a power cut a whole fleet starts at once
        self._thread.start()

    def notice(self, events: int) -> None:
        """Hear of newly stored events; the thread wakes when they fill a batch."""
        with self._lock:
            before = self._fresh
            self._fresh += events
            if before < self._wake_at <= self._fresh:  # once: a wake-up costs every writer
                self._changed.notify_all()

    def request_round(self) -> int:
        """Ask for a round now, whatever failed before; return the number of the request."""
        with self._lock:
            self._requested += 1
            self._changed.notify_all()
            return self._requested

    def flush(self, timeout: float | None) -> FlushResult:
        """Ask for a round and wait until all queued before is settled, or the round ends.

        Args:
            timeout: Seconds to wait at most; None waits for as long as a round may take.
        """
        self._outbox.check_writable()
        before = self._outbox.counts()
        self._await(self.request_round(), before.last_id, timeout)
        after = self._outbox.counts()
        pending = max(0, after.pending - self._outbox.count_after(before.last_id))
        return FlushResult(
            sent=after.accepted_total - before.accepted_total,
            pending=pending,
            dead=max(0, after.dead - before.dead),  # letters may have been put back meanwhile
            blocked=pending > 0 and self._sender.is_blocked,
        )

    def make_room(self, timeout: float) -> None:
        """Have what waits sent, in the ordinary way, and wait until something changed."""
        with self._lock:
            self._is_room_wanted = True
            self._changed.notify_all()
            self._changed.wait(max(0.0, min(timeout, _POLL_SECONDS)))

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
                is_standby = self._sender.state is State.STANDBY
                is_answered = self._served >= request and not is_standby
                if is_answered or left <= 0 or not self._thread.is_alive():
                    return
                if is_standby:
                    # the sender's place may be free by now; the round that finds it so counts
                    request = self.request_round()
                elif timeout is None:
                    deadline = time.monotonic() + patience  # this process's own round will end
                # another process's progress makes no noise here, so look again soon
                self._changed.wait(min(left, _POLL_SECONDS))

    # The thread

    def _run(self) -> None:
        try:
            minimum = 1
            if self._sender.pause_seconds:
                minimum = self._sleep()
            while not self._stop.is_set():
                self._guarded_round(minimum)
                minimum = self._sleep()
        finally:
            with suppress(SegOpsError):
                self._sender.pay()  # or the next process would send it again
            self._outbox.resign_as_sender()
            with self._lock:
                self._changed.notify_all()

    def _sleep(self) -> int:
        """Wait for the next round; return how many rows a batch needs to be sent in it."""
        with self._lock:
            wait = self._sender.pause_seconds or self._pace.flush_interval
            is_timed_out = not self._clock.wait_for(self._changed, self._is_due, wait)
            is_wanted = self._is_room_wanted or self._requested > self._served
        return 1 if is_timed_out or is_wanted else self._wake_at

    def _is_due(self) -> bool:
        if self._stop.is_set() or self._requested > self._served:
            return True
        is_wanted = self._is_room_wanted or self._fresh >= self._wake_at
        return is_wanted and not self._sender.pause_seconds

    def _leave_note(self) -> None:
        """Tell other processes how sending goes, if that has changed."""
        error = self._report.last_error
        note = {"state": self.state.value, "last_error": None if error is None else str(error)}
        if note != self._note:
            with suppress(OSError):
                self._outbox.note_as_sender({**note, "at": self._clock.time()})
            self._note = note

    def _guarded_round(self, minimum: int) -> None:
        """Run a round; whatever goes wrong is reported, and the thread lives on."""
        with self._lock:
            self._fresh = 0
            self._is_room_wanted = False
            request = self._requested
            is_asked_for = request > self._served  # perhaps only since the thread woke
        try:
            self._upkeep.before_round()
            self._sender.run_round(1 if is_asked_for else minimum, is_asked_for=is_asked_for)
            if self._sender.state is not State.STANDBY:
                self._upkeep.after_round(is_idle=self._sender.state is State.IDLE)
        except ClosedError:
            self._stop.set()
        except BaseException as error:  # noqa: BLE001 - nothing may end this thread silently
            self._sender.stumble()
            self._report(_as_reported(error, self._outbox))
        finally:
            self._upkeep.tell()
            self._report.tell_postponed()
            self._leave_note()
            with self._lock:
                self._served = request
                self._changed.notify_all()


def _as_reported(error: BaseException, outbox: Outbox) -> SegOpsError:
    if isinstance(error, SegOpsError):
        return error
    wrapped = StorageError(
        f"a round ended in {type(error).__name__}: {error}",
        path=str(outbox.path),
        hint="The events wait on disk; please report this",
    )
    wrapped.__cause__ = error
    return wrapped
