"""One round of sending: take a batch, send it, do what is decided of it, take the next.

What is sent next the `agenda` says; how a batch fared, an `attempt`; what that leads to,
`decisions`; what that is on disk, `settling`. Here it comes together.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING

from segops_durable.delivery.agenda import Agenda
from segops_durable.delivery.arrivals import Arrivals
from segops_durable.delivery.attempt import Attempt
from segops_durable.delivery.backoff import Pause
from segops_durable.delivery.decisions import (
    BACKING_OFF,
    GATED,
    SENDING,
    STANDING_BY,
    Decision,
    Fate,
    Finding,
    afterwards,
    at_end,
    decide,
    taking_over,
)
from segops_durable.delivery.lanes import Lanes
from segops_durable.delivery.overlap import Overlap
from segops_durable.delivery.pace import Round
from segops_durable.delivery.place import Place
from segops_durable.delivery.settling import Settling
from segops_durable.delivery.status import State
from segops_durable.errors import SegOpsError
from segops_durable.system.locks import alone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.api import Transport
    from segops_durable.delivery.outcome import Outcome, Reason
    from segops_durable.delivery.pace import Pace
    from segops_durable.delivery.reporting import Reporter
    from segops_durable.identity import Users
    from segops_durable.outbox import Batch, Outbox, Taken
    from segops_durable.system.clock import Clock


class Sender:
    """Sends what waits in the outbox. For one thread at a time; a second one is refused.

    Args:
        outbox: Where batches come from.
        transports: Where they go: one for each connection.
        pace: How fast.
        report: Called with each error; it must not raise.
        users: Who is using the device; None under a secret key.
        stop: Ends a round, and its waits.
        halt: Ends the waits of an attempt; `stop` itself where there is one connection.
        clock: The time.

    Attributes:
        state: What it is doing; `_apply` alone sets it.
        place: That of the one process that sends.
    """

    state: State = State.IDLE

    def __init__(
        self,
        outbox: Outbox,
        transports: Sequence[Transport],
        pace: Pace,
        report: Reporter,
        *,
        users: Users | None,
        stop: threading.Event,
        halt: threading.Event,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._pace = pace
        self._report = report
        self._stop = stop
        self._clock = clock
        self.place: Place = Place(outbox, pace.flush_interval, stop)
        self._pause = Pause(pace.flush_interval, clock)
        self._arrivals = Arrivals(clock)
        self._agenda = Agenda(outbox, pace, report, users=users, clock=clock)
        self._settling = Settling(outbox, self._agenda, self._arrivals, report)
        tell = report if len(transports) == 1 else report.postpone  # `on_error` has one thread
        attempts = [
            Attempt(outbox, each, self._arrivals, pace, tell, users=users, stop=halt, clock=clock)
            for each in transports
        ]
        self._attempt = attempts[0]
        self._overlap: Overlap | None = None
        if len(attempts) > 1:
            lanes = Lanes(attempts, halt, stop)
            self._overlap = Overlap(lanes, self._agenda, self._settling, self, self.place)
        self._at_work = threading.Lock()  # nobody waits for it: there is one thread
        self._told: Reason | None = None
        self._unkept: tuple[float, float] | None = None  # an order that is not on disk yet

    @property
    def pause_seconds(self) -> float:
        """Seconds until the next round; 0 if it waits for nothing but events."""
        return max(self._pause.remaining, self.place.gate.remaining)

    @property
    def is_blocked(self) -> bool:
        """Whether sending waits for something that another round cannot change."""
        is_waiting = self.state in {State.RATE_LIMITED, State.GATED, State.UNAUTHORISED}
        return is_waiting or self._pause.is_ordered or bool(self.held)

    @property
    def held(self) -> tuple[str, ...]:
        """The identities that could not be sent for: no session, or the other kind of key."""
        return self._agenda.held

    @property
    def retry_at(self) -> datetime | None:
        """When what failed is tried again by itself, UTC; None if nothing failed."""
        if seconds := self.pause_seconds or self._agenda.remaining:
            return datetime.fromtimestamp(self._clock.time() + seconds, timezone.utc)
        return None

    def stagger(self, *, is_after_power_cut: bool = False) -> None:
        """Wait before the first round, as `Pause.stagger` says."""
        self._pause.stagger(is_after_power_cut=is_after_power_cut)

    def forget_reports(self) -> None:
        """Report anew what was reported before: something has changed."""
        self._told = None

    def back_off(self) -> None:
        """Wait after a round that ended in an exception."""
        self._apply(BACKING_OFF)

    def run_round(self, small_up_to: int | None = None, *, is_asked_for: bool = False) -> bool:
        """Send what waits now, unless something fails that would fail again.

        What comes meanwhile goes with it only where it fills a batch: else a round would go on
        for as long as events come, and send them in ones and twos.

        Args:
            small_up_to: The newest event that may go in a batch which is not full. Defaults to
                the newest that waits.
            is_asked_for: Somebody waits for it: pauses end, but for those that SegOps asked
                for, and failures are retried.

        Returns:
            Whether SegOps has answered for any.

        Raises:
            RuntimeError: Another thread is in a round, or in `settle_owed` or `give_way`.
        """
        with alone(self._at_work):
            if not self._become_sender():
                return False
            if is_asked_for:
                self._pause.reset()
                self._agenda.hasten()
            self._settling.pay()
            self._settling.expire(lambda: self.place.must_end)
            if self._pause.is_ordered:
                return False
            up_to = self._outbox.waiting.newest_id()
            this = Round(up_to, up_to if small_up_to is None else small_up_to, is_asked_for)
            if self.place.gate.ask():
                self._send_all(this)
            if not self.place.is_kept or self.place.gate.is_shut:
                self._apply(GATED if self.place.is_kept else STANDING_BY)
            return this.is_open

    def close(self) -> None:
        """End the threads that send beside this one, if there are any."""
        if self._overlap is not None:
            self._overlap.close()

    def settle_owed(self) -> None:
        """Remove what was answered for, and could not be removed: it must not be sent again."""
        with alone(self._at_work):
            self._settling.pay()

    def give_back(self) -> None:
        """Let what has not left be made anew, by whoever sends next."""
        with alone(self._at_work):
            self._settling.give_back()

    def give_way(self) -> None:
        """Let a client with the other kind of key send between rounds, where events wait for it."""
        with alone(self._at_work):
            if self._agenda.has_others and not self._settling.owes:
                with suppress(OSError, SegOpsError):
                    self._settling.give_back()
                    self.place.give_up()

    def _become_sender(self) -> bool:
        """Whether this process sends; whoever takes over keeps to what SegOps asked for."""
        if not self.place.take():
            self._apply(STANDING_BY)
            return False
        if self.place.is_new:
            seconds, later = self._outbox.order_left()
            self._pause.order(min(seconds, self._pace.max_retry_after), later)  # another, by now
            self._apply(taking_over(is_ordered=self._pause.is_ordered))
            self.place.is_new = False
        return True

    def _send_all(self, this: Round) -> None:
        taken: Taken | None = self._settling.take(self._agenda.begin(this))
        if self._overlap is not None and taken is not None:
            if self._overlap.run(taken):
                self._end()
            return
        while taken is not None and not self.place.must_end:
            self._settling.note_found(taken)
            if taken.batch is not None:
                retries = self.depart(taken.batch)
                meanwhile = partial(self._settling.read_ahead, taken.batch)
                taken = self.conclude(self._attempt.make(taken.batch, retries, meanwhile))
            elif take := self._agenda.next() or self._agenda.next_suspect():
                taken = self._settling.take(take)
            else:
                self._end()
                return
        if taken is not None and taken.batch is not None:  # stopped before it was sent
            self._settling.leave(taken.batch)

    def _end(self) -> None:
        self._apply(at_end(self._agenda.turns.reasons, has_suspects=bool(self._agenda.suspects)))

    # As `overlap.Decider` has them

    def depart(self, batch: Batch) -> int:
        """Note that a batch is sent now; say how often it may be tried again at once."""
        self._apply(SENDING)
        self._agenda.unsent.discard(batch.key)
        return self._agenda.retries_of(batch, is_outage=bool(self._pause.failures))

    def conclude(
        self, outcome: Outcome, *, is_over: bool = False, is_one_of_many: bool = False
    ) -> Taken | None:
        """Do what an outcome leads to; give what was taken next, or None to end the round.

        Args:
            outcome: How a batch fared.
            is_over: Whether another batch has ended the round. Defaults to False.
            is_one_of_many: Take nothing for it alone. Defaults to False.
        """
        self._agenda.note(outcome)
        known = self._agenda.known_of(
            outcome.batch,
            is_stopping=self._stop.is_set() or is_over,
            may_be_divided=self._arrivals.may_be_divided(outcome.batch),
            told=self._told,
        )
        decision = decide(outcome, known)
        if is_over:
            decision = afterwards(decision, self._told)
        if decision.fate is not Fate.SETTLED and not self.place.is_kept:
            return None  # another process sends that batch by now
        if decision.order is not None:  # whatever the disk says to what follows
            self._unkept = self._pause.order(decision.order) or self._unkept
        if decision.ends_round and decision.finding is not Finding.HELD:
            # first the batch: where the disk fails, that is what the round ended in, and is told
            self._settling.carry_out(decision, outcome, is_one_of_many=is_one_of_many)
            self._apply(decision, outcome)
            return None
        self._apply(decision, outcome)
        taken = self._settling.carry_out(decision, outcome, is_one_of_many=is_one_of_many)
        return None if decision.ends_round else taken

    def _apply(self, decision: Decision, outcome: Outcome | None = None) -> None:
        """Go by a decision from now on, and tell of the outcome that led to it."""
        if decision.state is not None:
            self.state = decision.state
        if decision is STANDING_BY:
            self._agenda.unsent.clear()  # whoever sends now may have them leave
        if outcome is not None:
            self._agenda.heed(decision, outcome)
        if decision.is_pause_over:
            self._pause.reset()
        if decision.longest_pause is not None:
            self._pause.lengthen(decision.longest_pause)
        if decision.order is not None and self._unkept is not None:
            self._outbox.keep_order(*self._unkept)
            self._unkept = None
        if decision.is_told and outcome is not None:
            self._report(outcome.as_error(self.retry_at))
        if decision.finding is Finding.ANSWERED or decision.reason is not None:
            self._told = decision.reason
