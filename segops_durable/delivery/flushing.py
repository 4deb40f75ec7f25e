"""Those who wait for a round: a flush, and whoever needs room in a full queue."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from segops_durable.delivery.status import FlushResult, State
from segops_durable.system.bell import Bell

if TYPE_CHECKING:
    from segops_durable.api import Pacer
    from segops_durable.delivery.flusher import Flusher
    from segops_durable.delivery.pace import Pace
    from segops_durable.delivery.sender import Sender
    from segops_durable.outbox import Counts, Outbox

_POLL_SECONDS = 0.05
_TELLING_SECONDS = 0.25
_WITHOUT_PLACE = {State.IDLE, State.STANDBY}


class Flushing:
    """Asks for rounds and waits for their end, on any thread but the one that sends.

    Args:
        outbox: What is flushed.
        sender: Who sends it.
        flusher: The thread that has it sent.
        pace: How long a round may take.
        pacer: Gives its requests their turns.
    """

    def __init__(
        self, outbox: Outbox, sender: Sender, flusher: Flusher, pace: Pace, pacer: Pacer
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._flusher = flusher
        self._pacer = pacer
        self._longest_round = pace.longest_round

    def flush(self, timeout: float | None) -> FlushResult:
        """Ask for a round and wait until all queued before is settled, or the round ends.

        On the sending thread itself nobody would end the wait: there it says what is known.

        Args:
            timeout: Seconds to wait at most; None waits for as long as a round may take.
        """
        if self._flusher.is_current:
            pending = self._outbox.waiting.counts().pending
            is_blocked = pending > 0 and self._is_blocked
            return FlushResult(
                sent=0, pending=pending, dead=0, blocked=is_blocked, state=self.state
            )
        self._outbox.check_writable()
        self._flusher.start_if_wanted()
        before = self._outbox.waiting.counts()
        self._wait(self._flusher.request_round(), before, timeout)
        after = self._outbox.waiting.counts()
        pending = self._left_of(before, after)
        return FlushResult(
            sent=after.accepted_total - before.accepted_total,
            pending=pending,
            dead=max(0, after.dead - before.dead),  # letters may have been put back meanwhile
            blocked=pending > 0 and self._is_blocked,
            lost=max(0, _lost(after) - _lost(before)),
            state=self.state,
        )

    @property
    def state(self) -> State:
        """What the flusher is doing; a request that waits for its turn is limited."""
        state = self._flusher.state
        if state in _WITHOUT_PLACE and not self._sender.place.sends:
            return State.NO_SENDER if self._sender.place.is_deserted else State.STANDBY
        return State.RATE_LIMITED if state is State.SENDING and self._pacer.wait_left else state

    @property
    def _is_blocked(self) -> bool:
        """Whether another flush would change nothing now: also, where a request has no turn yet."""
        is_waiting = self._sender.is_blocked or self._pacer.wait_left > 0
        return is_waiting or self._sender.place.is_deserted

    def _left_of(self, before: Counts, after: Counts) -> int:
        """How many of those that waited before still do.

        Whether any does is one look. How many are the difference of two: what came later may
        leave between them, by another process say, so that alone says nothing of the others.
        """
        if not self._outbox.waiting.has_rows_up_to(before.last_id):
            return 0
        return max(1, after.pending - self._outbox.waiting.count_after(before.last_id))

    def make_room(self, timeout: float) -> bool:
        """Have what waits sent, in the ordinary way, and wait until something changed.

        Returns:
            False for the sending thread, in `on_error` say: nobody else makes room.
        """
        if self._flusher.is_current:
            return False
        with self._flusher.requests.listening() as news:
            self._flusher.want_room()
            news.wait(min(timeout, _POLL_SECONDS))
        return True

    def _wait(self, request: int, before: Counts, timeout: float | None) -> None:
        """Wait until nothing up to a row waits, or the round that was asked for is over.

        A process that only appends waits for nobody, where no process sends.

        Without a timeout our own rounds are waited for however much they send: each of their
        requests has a deadline, so they end. Another process's may not: one that is stopped
        (SIGSTOP, a debugger) keeps the sender's lock and sends nothing. Then patience runs out.
        """
        patience = self._longest_round if timeout is None else timeout
        deadline = time.monotonic() + patience
        with self._flusher.requests.listening() as news:
            while self._outbox.waiting.has_rows_up_to(before.last_id):
                left = deadline - time.monotonic()
                is_over = self._flusher.requests.is_fulfilled(request)
                if is_over or left <= 0 or not self._flusher.is_running:
                    return
                if self._flusher.requests.is_answered(request):
                    if self._sender.place.is_deserted:
                        return
                    # another process sends: the round that finds the place free is to be waited
                    # for, but rounds in vain must not follow each other without a pause
                    Bell().wait(min(left, _POLL_SECONDS))
                    request = self._flusher.try_again()
                elif timeout is None and self._sender.state is not State.STANDBY:
                    deadline = time.monotonic() + patience
                # another process's progress rings no bell here, so look again soon
                news.wait(min(left, _POLL_SECONDS))
            if before.pending:
                self._let_it_tell(request, deadline, news)

    def _let_it_tell(self, request: int, deadline: float, news: Bell) -> None:
        """Let the round that settled the last row tell of what it met, before the flush returns.

        A row is gone before its error is told, so that nothing is told of what a failed disk
        keeps. What comes in meanwhile may make that round long: it is given a moment.
        """
        deadline = min(deadline, time.monotonic() + _TELLING_SECONDS)
        while not self._flusher.requests.is_answered(request):
            left = deadline - time.monotonic()
            is_ours = self._flusher.is_running and self._sender.state is not State.STANDBY
            if left <= 0 or not is_ours:
                return
            news.wait(left)


def _lost(counts: Counts) -> int:
    """How many events have left the queue, and not for SegOps or the dead letters."""
    return counts.lost_total + counts.dropped_total
