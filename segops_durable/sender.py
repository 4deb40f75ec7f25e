"""One round of sending: take a batch, send it, do what the answer means, take the next.

What each verdict leads to:

- accepted: the rows are deleted; a batch with skipped events is copied to the dead letters.
- refused: the batch is halved until the culprit is alone; that one goes to the dead
  letters. Those behind it follow in the same round.
- too large: batches have at most half its bytes from now on; one event alone as above.
- no session for these events' user: they are held, the other users' go on (`turns`).
- busy, wrong key, wrong address: the round ends, as no batch would fare better.
- unreachable, not SegOps: a few retries, then the round ends; `suspects` has what follows.

A batch that was made just now, and certainly never left, is given up again: until it is
sent, its events may still have their times corrected, and a larger batch may be made.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from segops_durable.backoff import (
    LONGEST_BLOCKED_PAUSE,
    LONGEST_PAUSE,
    Pause,
    retry_after_seconds,
    send_with_retries,
)
from segops_durable.errors import DamagedEventError, IdentityError
from segops_durable.identity import NO_IDENTITY, WHOEVER
from segops_durable.limits import BodyLimit
from segops_durable.outbox import Batch, Outbox, Settlement, Take, Taken
from segops_durable.outcome import Outcome
from segops_durable.status import State
from segops_durable.suspects import Suspects
from segops_durable.turns import Turns
from segops_durable.verdicts import Meaning, Verdict, http_date

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from segops_durable.clock import Clock
    from segops_durable.errors import SegOpsError
    from segops_durable.transport import Transport
    from segops_durable.users import Users

MOST_REFUSALS = 20
"""Sessions refused in one round at most: it may be the key, and not the users."""

_THE_WAY = {Meaning.UNREACHABLE, Meaning.NOT_SEGOPS}
_BLOCKED = {Meaning.CREDENTIALS, Meaning.WRONG_ADDRESS}
_STATES = {
    Meaning.BUSY: State.RATE_LIMITED,
    Meaning.CREDENTIALS: State.UNAUTHORISED,
    Meaning.WRONG_ADDRESS: State.UNAUTHORISED,
    Meaning.NOT_SEGOPS: State.NOT_SEGOPS,
}
_REFUSED = {Meaning.REFUSED, Meaning.TOO_LARGE}


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast sending goes; `Options` has the meaning of each."""

    batch_size: int
    flush_interval: float
    max_retries: int
    max_retry_after: float
    longest_round: float  # seconds that a failing round may take, for those who wait for it


@dataclass
class _Round:
    """What holds for the round under way."""

    minimum: int
    is_asked_for: bool
    is_open: bool = False  # SegOps itself has answered
    refusals: int = 0  # users for whom SegOps gave no session


class Sender:
    """Sends what waits in the outbox. For one thread at a time.

    Args:
        outbox: Where batches come from.
        transport: Where they go.
        pace: How fast.
        report: Called with each error; it must not raise.
        users: Who is using the device; None under a secret key.
        stop: Ends a round, and its waits.
        clock: The time.
    """

    def __init__(
        self,
        outbox: Outbox,
        transport: Transport,
        pace: Pace,
        report: Callable[[SegOpsError], None],
        *,
        users: Users | None,
        stop: threading.Event,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._transport = transport
        self._pace = pace
        self._report = report
        self._users = users
        self._stop = stop
        self._clock = clock
        self._pause = Pause(pace.flush_interval, clock)
        self._suspects = Suspects(pace.flush_interval, clock)
        self._turns = Turns(self._whose_wait, pace.flush_interval, clock)
        self._body_limit = BodyLimit(clock)
        self._is_sender = False
        self._owed: list[Settlement] = []  # answered for, and not yet removed from disk
        self._told: tuple[Meaning, int | None] | None = None
        self.state = State.IDLE

    @property
    def pause_seconds(self) -> float:
        """Seconds until the next round; 0 if it waits for nothing but events."""
        return self._pause.remaining

    @property
    def is_blocked(self) -> bool:
        """Whether sending waits for something that another round cannot change."""
        is_waiting = self.state in {State.RATE_LIMITED, State.UNAUTHORISED}
        return is_waiting or self._pause.is_ordered or bool(self._turns.held)

    @property
    def held(self) -> tuple[str, ...]:
        """The identities for which there was no session when they were last tried."""
        return self._turns.held

    @property
    def retry_at(self) -> datetime | None:
        """When what failed is tried again by itself, UTC; None if nothing failed."""
        seconds = self._pause.remaining or self._suspects.remaining or self._turns.remaining
        return self._moment(seconds) if seconds else None

    def stagger(self) -> None:
        """Wait for a part of the interval before the first round."""
        self._pause.stagger()

    def forget_reports(self) -> None:
        """Report anew what was reported before: something has changed."""
        self._told = None

    def stumble(self) -> None:
        """Wait after a round that ended in an exception."""
        self.state = State.BACKING_OFF
        self._pause.lengthen()

    def run_round(self, minimum: int = 1, *, is_asked_for: bool = False) -> None:
        """Send until nothing is left, or something fails that would fail again.

        Args:
            minimum: Events that a new batch needs to be sent.
            is_asked_for: Somebody waits for it: pauses end, but for those that SegOps asked
                for, and failures are retried.
        """
        if not self._become_sender():
            return
        if is_asked_for:
            self._pause.reset()
            self._suspects.forgive()
            self._turns.hasten()
        self.pay()
        if self._pause.is_ordered:
            return
        self._welcome()
        self._turns.begin()
        self._send_all(_Round(minimum, is_asked_for))

    def _become_sender(self) -> bool:
        """Whether this process sends; whoever takes over keeps to what SegOps asked for."""
        if not self._outbox.try_become_sender():
            self.state = State.STANDBY
            return False
        if not self._is_sender:
            self._is_sender = True
            self.state = State.IDLE
            left = self._outbox.retry_at() - self._clock.time()
            if left > 0:  # at most the longest: the clock may have been set back
                self._pause.order(min(left, self._pace.max_retry_after))
                self.state = State.RATE_LIMITED
        return True

    def pay(self) -> None:
        """Remove what was answered for, and could not be removed: it must not be sent again."""
        while self._owed:
            self._outbox.settle(self._owed[0], None)
            del self._owed[0]

    def _welcome(self) -> None:
        """Let somebody who uses the device again have their turn, if nobody signed before."""
        is_local = (Meaning.IDENTITY, None) in self._turns.reasons
        if self._users is not None and is_local:
            with suppress(IdentityError):
                self._turns.welcome(self._users.current().identity)

    def _whose_wait(self) -> list[str]:
        found = self._outbox.identities()
        if self._users is None and NO_IDENTITY not in found:
            found.append(NO_IDENTITY)
        return found

    def _settle(self, settlement: Settlement, this: _Round) -> Taken:
        self._owed.append(settlement)
        taken = self._outbox.settle(settlement, self._next(this))
        del self._owed[0]
        return taken

    def _send_all(self, this: _Round) -> None:
        taken: Taken | None = self._take_suspect(this, if_full=True) or Taken(None)
        while taken is not None and not self._stop.is_set():
            self._report_damage(taken)
            if taken.batch is not None:
                self.state = State.SENDING
                taken = self._deliver(taken.batch, this)
            elif (following := self._next(this)) is not None:
                taken = self._outbox.take(following)
            elif (taken := self._take_suspect(this)) is None:
                self._end_well()
        if taken is not None and taken.batch is not None:  # stopped before it was sent
            self._give_back(taken.batch, None)

    def _take_suspect(self, this: _Round, *, if_full: bool = False) -> Taken | None:
        """Take a suspect whose time has come; None if there is none."""
        suspect = self._suspects.recall(if_full=if_full)
        if suspect is None:
            return None
        taken = self._outbox.take(self._take_of(suspect.identity, this))
        if taken.batch is None or taken.batch.key != suspect.key:
            self._suspects.drop(suspect.key)  # it lost a damaged row, so it is another batch
        return taken

    def _next(self, this: _Round) -> Take | None:
        identity = self._turns.next()
        return None if identity is None else self._take_of(identity, this)

    def _take_of(self, identity: str, this: _Round) -> Take:
        size = self._pace.batch_size
        return Take(
            size,
            identity,
            minimum=size if self._suspects.is_searching else this.minimum,
            max_bytes=self._body_limit.bytes,
            aside=self._suspects.aside,
        )

    def _deliver(self, batch: Batch, this: _Round) -> Taken | None:
        """Send a batch and act on the verdict; return the next, or None to end the round."""
        outcome = self._send(batch, this)
        if outcome.meaning is Meaning.ACCEPTED:
            return self._accept(outcome, this)
        if outcome.meaning in _REFUSED:
            return self._refuse(outcome, this)
        if outcome.meaning is Meaning.IDENTITY:
            return self._pass_over(outcome, this)
        if outcome.verdict.is_unsent:
            return self._give_up(outcome, this)
        if outcome.meaning in _THE_WAY:
            return self._suspect(outcome, this)
        self._wait(outcome)
        return None

    def _send(self, batch: Batch, this: _Round) -> Outcome:
        """Send with retries, but in an outage, or for a suspect, with a single attempt."""
        if batch.sent_as == WHOEVER and self._users is not None:
            try:
                batch = self._outbox.assign(batch, self._users.current().identity)
            except IdentityError as error:
                verdict = Verdict(Meaning.IDENTITY, detail=error.message, is_unsent=True)
                return Outcome(batch, verdict, 0)
        verdicts: list[Verdict] = []

        def send() -> Verdict:
            verdicts.append(self._transport.send(batch))
            return verdicts[-1]

        is_first_failure = not self._pause.failures and batch.key not in self._suspects
        verdict = send_with_retries(
            send,
            is_worth_retrying=lambda verdict: (
                verdict.meaning in _THE_WAY and verdict.retry_after is None
            ),
            max_retries=self._pace.max_retries if this.is_asked_for or is_first_failure else 0,
            stop=self._stop,
            clock=self._clock,
        )
        is_unsent = all(each.is_unsent for each in verdicts)
        return Outcome(batch, replace(verdict, is_unsent=is_unsent), len(verdicts))

    def _accept(self, outcome: Outcome, this: _Round) -> Taken:
        """Settle an accepted batch."""
        self._answered(outcome.batch, this)
        self._body_limit.accept(outcome.batch.size)
        settlement, error = outcome.accepted()
        taken = self._settle(settlement, this)
        if error is not None:
            self._report(error)
        return taken

    def _refuse(self, outcome: Outcome, this: _Round) -> Taken:
        """Divide a refused batch; one event alone goes to the dead letters."""
        batch = outcome.batch
        self._answered(batch, this)
        if outcome.meaning is Meaning.TOO_LARGE:
            self._body_limit.refuse(batch.size)
            this.minimum = 1  # the remainder of a full batch is not one
        if len(batch.rows) > 1:
            divide = (
                self._outbox.release  # it is taken anew, by the limit
                if outcome.meaning is Meaning.TOO_LARGE
                else self._outbox.halve
            )
            return divide(batch, self._next(this))
        settlement, error = outcome.refused()
        taken = self._settle(settlement, this)
        self._report(error)
        return taken

    def _pass_over(self, outcome: Outcome, this: _Round) -> Taken | None:
        """Hold these events' user, and go on with the others."""
        self._hold(outcome)
        this.refusals += outcome.verdict.status is not None
        if this.refusals < MOST_REFUSALS:
            return self._give_back(outcome.batch, self._next(this))
        self._give_back(outcome.batch, None)
        self.state = State.UNAUTHORISED
        return None

    def _give_up(self, outcome: Outcome, this: _Round) -> Taken | None:
        """End the round, as nothing left; go on if it is the trouble of one user's session."""
        batch, verdict = outcome.batch, outcome.verdict
        is_one_users = this.is_open or self._turns.is_held(batch.identity)
        if verdict.meaning in _THE_WAY and verdict.status is not None and is_one_users:
            self._hold(outcome)
            return self._give_back(batch, self._next(this))
        self._give_back(batch, None)
        if not self._stop.is_set():
            self._wait(outcome)
        return None

    def _give_back(self, batch: Batch, then: Take | None) -> Taken:
        """Let the rows of a batch that never left be taken anew; take the next."""
        if batch.is_new:
            return self._outbox.release(batch, then)
        return self._take(then)

    def _hold(self, outcome: Outcome) -> None:
        if self._turns.hold(outcome.batch.identity, outcome.verdict):  # told of once
            self._report(outcome.as_error(self.retry_at))

    def _suspect(self, outcome: Outcome, this: _Round) -> Taken | None:
        """Put a failed batch aside; end the round unless others are known to get through."""
        if self._stop.is_set():  # the attempt may have been cut short
            return None
        batch = outcome.batch
        if not self._suspects.fail(batch.key, batch.identity):
            self._wait(outcome)
            return None
        self.state = _STATES.get(outcome.meaning, State.BACKING_OFF)
        self._order(outcome.verdict)
        self._report(outcome.as_error(self.retry_at))
        if self._pause.is_ordered:
            return None
        if len(batch.rows) > 1 and self._suspects.is_to_be_halved(batch.key):
            self._suspects.drop(batch.key)
            self._turns.begin()  # a half may do better
            return self._outbox.halve(batch, self._next(this))
        return self._take(self._next(this))

    def _take(self, take: Take | None) -> Taken:
        return Taken(None) if take is None else self._outbox.take(take)

    def _wait(self, outcome: Outcome) -> None:
        """End the round. Whatever was not accepted stays, as the same batch."""
        verdict = outcome.verdict
        self.state = _STATES.get(verdict.meaning, State.BACKING_OFF)
        is_blocked = verdict.meaning in _BLOCKED
        self._pause.lengthen(LONGEST_BLOCKED_PAUSE if is_blocked else LONGEST_PAUSE)
        self._order(verdict)
        news = (verdict.meaning, verdict.status)
        if not is_blocked or news != self._told:  # it takes a person to mend: tell once
            self._report(outcome.as_error(self.retry_at))
        self._told = news

    def _order(self, verdict: Verdict) -> None:
        """Keep to a ``Retry-After``, also in the next process."""
        now = http_date(verdict.date) or datetime.fromtimestamp(self._clock.time(), timezone.utc)
        seconds = retry_after_seconds(verdict.retry_after, now, self._pace.max_retry_after)
        if seconds:
            self._pause.order(seconds)
            self._outbox.keep_retry_at(self._clock.time() + seconds)

    def _answered(self, batch: Batch, this: _Round) -> None:
        """SegOps itself has answered: the way is open."""
        this.is_open = True
        self._pause.reset()
        self._suspects.clear(batch.key)
        self._turns.served(batch.identity)
        self._told = None

    def _end_well(self) -> None:
        """End a round that has tried everything: what is left waits for its own time."""
        self.state = State.IDLE
        reasons = self._turns.reasons
        if any(status is not None for _, status in reasons):
            self.state = State.UNAUTHORISED
        if self._suspects or any(meaning in _THE_WAY for meaning, _ in reasons):
            self.state = State.BACKING_OFF
        if not self._suspects:
            self._pause.reset()

    def _report_damage(self, taken: Taken) -> None:
        if taken.damaged:
            self._report(
                DamagedEventError(
                    f"{taken.damaged} stored events do not match their checksums",
                    batch_size=taken.damaged,
                    hint="They are kept in the dead letters; check the disk",
                )
            )

    def _moment(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(self._clock.time() + seconds, timezone.utc)
