"""The one thread that sends.

It wakes when a batch's worth of events waits, at the end of an interval (`patience`), and when
somebody asks for a round (`flushing`), here or in another process (`knocking`). A *round* sends
what waited when it began, or until something fails; after a failed round the next one waits, a
little longer each time, and every event stays where it is: on disk.
"""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from segops_durable.delivery.failures import end_of_round, without_thread
from segops_durable.delivery.knocking import FULL, OVER, ROOM, ROUND, WISHES, Knocking
from segops_durable.delivery.patience import Patience
from segops_durable.delivery.rounds import RoundRequests
from segops_durable.delivery.sender_note import SenderNote
from segops_durable.delivery.status import State
from segops_durable.errors import ClosedError, SegOpsError
from segops_durable.system.bell import Bell
from segops_durable.system.worker import Worker

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from segops_durable.delivery.housekeeping import Housekeeping
    from segops_durable.delivery.pace import Pace
    from segops_durable.delivery.reporting import Reporter
    from segops_durable.delivery.sender import Sender
    from segops_durable.outbox import Outbox
    from segops_durable.system.clock import Clock

_START_AGAIN_SECONDS = 1.0
_LOOK_AFTER_SECONDS = 0.1
"""How long the file is not looked after anew: under load each batch is a round of its own."""


class Flusher:
    """The sending thread.

    Args:
        outbox: What is sent.
        sender: Who sends it, on this thread.
        housekeeping: Who looks after the file.
        pace: How fast.
        report: Where errors go.
        stop: Set to end the thread and whatever it waits for.
        clock: What the thread waits by.

    Attributes:
        requests: The rounds that were asked for, and the news of their end.
        note: What is left for other processes.
    """

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        housekeeping: Housekeeping,
        pace: Pace,
        *,
        report: Reporter,
        stop: threading.Event,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._housekeeping = housekeeping
        self._pace = pace
        self._patience = Patience(pace.flush_interval, clock)
        self._report = report
        self._stop = stop
        self._clock = clock
        self._worker = Worker("segops-flusher", self.run)
        # no lock: a signal handler may interrupt any instruction, and call in again
        self._bell = Bell()
        self._tracked = count(1)
        self._counted = 0  # of `_tracked`, when the last round began
        self._wishes: set[str] = set()  # for a round, since then: FULL, ROOM or OVER
        self._is_in_vain = False  # and no full batch was there to make it
        self._look_after_at = 0.0  # when the file is to be looked after again
        self._knocking = Knocking(outbox, pace.flush_interval, takes_over=sender.place.sends)
        sender.place.on_knock = self.hear
        self.requests: RoundRequests = RoundRequests()
        self.note: SenderNote = SenderNote(outbox, report, lambda: self.state, clock)
        self._is_wanted = False  # a command stores events with no thread
        self._start_again_at = 0.0
        self._is_failure_told = False

    @property
    def state(self) -> State:
        """What the thread is doing."""
        is_over = self._worker.is_over or (self._stop.is_set() and not self.is_running)
        return State.CLOSED if is_over else self._sender.state

    @property
    def is_current(self) -> bool:
        """Whether the calling thread is the one that sends: it must not wait for itself."""
        return self._worker.is_current

    @property
    def is_running(self) -> bool:
        """Whether the thread was started, and has not come to its end."""
        return self._worker.is_running

    def start(self, *, is_first: bool = True) -> None:
        """Start the thread; its first round sends what an earlier process left.

        What comes from now on has an interval of its own, however soon that round is. Where no
        thread can be had that is told, and tried again whenever something is stored.

        Args:
            is_first: Whether what waits was left; else somebody goes on with it, as after a fork,
                and it waits for its interval. Defaults to True.
        """
        if is_first and not self.is_running:
            self.begin()
        self.want()
        self.start_if_wanted()

    def begin(self) -> None:
        """Take what waits for what an earlier process left; the first round sends it."""
        left = self._outbox.waiting.counts()
        self._patience.end(left.last_id)
        if left.pending:
            self._sender.stagger(is_after_power_cut=self._outbox.waiting.is_left_by_power_cut())

    def want(self) -> None:
        """Let the thread be started as soon as something is stored, or asked for."""
        self._is_wanted = True

    def start_if_wanted(self) -> None:
        """Start the thread, unless it runs, or is not to."""
        if not self._is_wanted or self.is_running or self._stop.is_set():
            return
        self._start_again_at = time.monotonic() + _START_AGAIN_SECONDS
        try:
            self._worker.start()
        except RuntimeError as error:
            if not self._is_failure_told:
                self._is_failure_told = True
                self._report(without_thread(error))

    def notice(self, events: int) -> None:
        """Hear of newly stored events; the thread wakes when they fill a batch."""
        first = last = 0
        for _ in range(events):
            last = next(self._tracked) - self._counted
            first = first or last
        # once for each batch: a wake-up costs all writers
        if first <= self._pace.minimum <= last:
            self._wishes.add(FULL)
            self._bell.ring()
        if not self.is_running and time.monotonic() >= self._start_again_at:
            self.start_if_wanted()

    def hear(self, said: str) -> None:
        """Hear of another process, which does not send, what `knocking` says.

        If this one does not either by then, it tells whoever does.
        """
        if said == ROUND:
            self.request_round()
        elif said in WISHES:
            self._wishes.add(said)
        self._bell.ring()

    def request_round(self) -> int:
        """Ask whoever sends for a round, whatever failed before; return the request's number."""
        self._knocking.want(ROUND)
        return self.try_again()

    def try_again(self) -> int:
        """Ask for a round as before, of this process alone: it may be the one that sends by now."""
        number = self.requests.add()
        self._bell.ring()
        return number

    def want_room(self) -> None:
        """Have what waits sent soon, whatever little it is, but no sooner than a pause ends."""
        self._wishes.add(ROOM)
        self._bell.ring()

    def stop(self, timeout: float) -> bool:
        """End the thread, and any wait it is in; say whether it ended in `timeout` seconds."""
        with suppress(RuntimeError):  # Python 3.10, if a handler interrupted the same before
            self._stop.set()
        self._bell.ring()
        return self._worker.wait_for_end(timeout)

    def stop_from_within(self, at_end: Callable[[], object]) -> None:
        """End the thread, which is the calling one, as soon as it can; and then do that."""
        self._worker.at_end = at_end
        self.stop(0)

    def run(self) -> None:
        """Run rounds until `stop`: what the thread does, or whoever calls it in its place."""
        try:
            if self._sender.pause_seconds:
                self._sleep()
            while not self._stop.is_set():
                self._guarded_round()
                self._sleep()
        finally:
            self._sender.close()
            try:
                with suppress(SegOpsError):
                    self._sender.settle_owed()  # or the next process would send it again
                    self._sender.give_back()
                self._housekeeping.tell()  # of a file that was opened for a moment, too
            finally:  # or no other process could send until this one ends
                self._sender.place.give_up()
                self._knocking.forget()
                self.requests.tell()

    def _sleep(self) -> None:
        """Wait for the next round."""
        while (look_in := self._knocking.remaining) is not None:
            wait = self._sender.pause_seconds or self._patience.remaining
            if self._clock.wait_for(self._bell, self._is_due, min(wait, look_in)):
                return
            if self._knocking.look() or wait <= look_in:
                return
        wait = self._sender.pause_seconds or self._patience.remaining
        self._clock.wait_for(self._bell, self._is_due, wait)

    def _is_due(self) -> bool:
        if self._stop.is_set() or self.requests.look():
            return True
        return bool(self._wishes) and not self._sender.pause_seconds

    def _guarded_round(self) -> None:
        """Run a round; whatever goes wrong is reported, and the thread lives on."""
        try:
            self._guarded(self._whole_round)
            self._guarded(self._after_round)
        finally:
            self.requests.answer(is_standby=self._sender.state is State.STANDBY)

    def _guarded(self, part: Callable[[], None]) -> None:
        try:
            part()
        except ClosedError:
            self._stop.set()
        except BaseException as error:  # noqa: BLE001 - nothing may end this thread silently
            self._sender.back_off()
            self._report(end_of_round(error, self._outbox.path))

    def _whole_round(self) -> None:
        wishes = frozenset(self._wishes)
        self._wishes.difference_update(wishes)
        self._counted = next(self._tracked)
        is_asked_for = self.requests.look()  # perhaps only since the thread woke
        now = self._clock.monotonic()
        is_looked_after = is_asked_for or now >= self._look_after_at
        if is_looked_after:
            self._housekeeping.before_round()
            self._look_after_at = now + _LOOK_AFTER_SECONDS
        self._run_round(wishes, is_asked_for=is_asked_for)
        if self._sender.state is State.STANDBY:
            self._knocking.tell(wishes)
            return
        self._knocking.settle()
        if is_looked_after:
            self._housekeeping.after_round(is_idle=self._sender.state is State.IDLE)

    def _after_round(self) -> None:
        self._housekeeping.tell()
        self._report.tell_postponed()
        self.note.leave()
        self._sender.give_way()

    def _run_round(self, wishes: frozenset[str], *, is_asked_for: bool) -> None:
        """Send what waits now, if it fills a batch, or its interval is over, or somebody asks."""
        now = self._clock.monotonic()
        newest = self._outbox.waiting.newest_id()
        over_before = 0 if is_asked_for else self._patience.over_up_to  # an interval ago
        is_over = is_asked_for or OVER in wishes or not self._patience.remaining
        if is_over:
            self._patience.end(newest, now)
        small_up_to = self._patience.over_up_to
        has_sent = self._sender.run_round(small_up_to, is_asked_for=is_asked_for)
        if is_over:
            if over_before and self._outbox.waiting.has_rows_up_to(over_before):
                self._knocking.want(OVER)
            return
        was_in_vain, self._is_in_vain = self._is_in_vain, ROOM in wishes and not has_sent
        # the round before may have made room meanwhile: who still wants it has asked anew
        if was_in_vain and self._is_in_vain and not self._sender.pause_seconds:
            self._patience.end(newest, now)  # no batch is full: a small one makes room as well
            self._sender.run_round(newest)
        elif not self._outbox.waiting.has_rows_up_to(newest):
            self._patience.end(newest, now)
