"""What is sent next: whose turn it is, which batch is tried again, and how large a new one is.

Each round goes through everybody whose events this client may send (`kinds`), one batch each,
those with the oldest first (`turns`); and through the batches that failed before, at their own
intervals (`suspects`). It ends when all of that has found nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from segops_durable.api import Meaning
from segops_durable.delivery.body_limit import BodyLimit
from segops_durable.delivery.decisions import Finding, Known
from segops_durable.delivery.kinds import Kinds
from segops_durable.delivery.pace import Round
from segops_durable.delivery.suspects import Suspects
from segops_durable.delivery.turns import Turns
from segops_durable.errors import IdentityError
from segops_durable.identity import rank_of
from segops_durable.outbox import Take

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.delivery.decisions import Decision
    from segops_durable.delivery.outcome import Outcome, Reason
    from segops_durable.delivery.pace import Pace
    from segops_durable.errors import SegOpsError
    from segops_durable.identity import Users
    from segops_durable.outbox import Batch, Outbox, Taken
    from segops_durable.system.clock import Clock


class Agenda:
    """What is sent next. For the sender's thread, but for `held` and `remaining`.

    Args:
        outbox: Where the events wait.
        pace: How fast.
        report: Called with each error; it must not raise.
        users: Who is using the device; None under a secret key.
        clock: The time.

    Attributes:
        round: What holds for the round under way.
        turns: Whose batch goes next, and who is held.
        suspects: The batches that failed, and may be at fault.
        in_hand: Keys of batches that are on their way, over several connections.
        unsent: Keys of batches that are marked on disk, and have not left this process.
    """

    def __init__(
        self,
        outbox: Outbox,
        pace: Pace,
        report: Callable[[SegOpsError], None],
        *,
        users: Users | None,
        clock: Clock,
    ) -> None:
        self._pace = pace
        self._clock = clock
        self._look_at = 0.0  # when it is looked again whether events came that go first
        self._newest_id = outbox.waiting.newest_id
        self._users = users
        self._kinds = Kinds(outbox, report, is_public=users is not None)
        self.round: Round = Round()
        self.turns: Turns = Turns(self._kinds.ours, pace.flush_interval, clock)
        self.suspects: Suspects = Suspects(pace.flush_interval, clock)
        self.in_hand: set[str] = set()
        self.unsent: set[str] = set()
        self._body_limit = BodyLimit(clock)
        self._recalled: tuple[Take, str] | None = None  # what was said last to take a suspect

    @property
    def held(self) -> tuple[str, ...]:
        """The identities that could not be sent for: no session, or the other kind of key."""
        return self.turns.held + self._kinds.held

    @property
    def has_others(self) -> bool:
        """Whether events wait that only a client with the other kind of key may send."""
        return bool(self._kinds.held)

    @property
    def remaining(self) -> float:
        """Seconds until what failed is tried again; 0 if now, or nothing failed."""
        return self.suspects.remaining or self.turns.remaining

    def hasten(self) -> None:
        """End all waits: somebody asks for everything to be tried now."""
        self.suspects.forgive()
        self.turns.hasten()

    def begin(self, this: Round) -> Take | None:
        """Begin a round; where too many batches failed, with one of them."""
        self.round = this
        self._look_at = self._clock.monotonic() + self._pace.flush_interval
        self._retry_current_user()
        self.turns.begin()
        return self.next_suspect(if_full=True)

    def next(self) -> Take | None:
        """What to take next; None once everybody has had their turn."""
        self._look_for_urgent()
        identity = self.turns.next()
        return None if identity is None else self._take_of(identity)

    def _look_for_urgent(self) -> None:
        """Let events that go first, and came since, go now: a round may take hours."""
        now = self._clock.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + self._pace.flush_interval
        for lane in self._kinds.urgent():
            self.round.urgent_up_to = self._newest_id()
            self.turns.go_on(lane)

    def foreseen(self, batch: Batch) -> Take:
        """What to take next, if SegOps accepts a batch that is on its way."""
        return self._take_of(self.turns.foreseen(batch.identity))

    def next_suspect(self, *, if_full: bool = False) -> Take | None:
        """The suspect whose time has come; None if there is none.

        Args:
            if_full: Only if there is no place for another suspect.
        """
        suspect = self.suspects.recall(self.turns.is_due, self.in_hand, if_full=if_full)
        if suspect is None:
            return None
        take = self._take_of(suspect.identity)
        self._recalled = take, suspect.key
        return take

    def note_taken(self, take: Take, taken: Taken) -> None:
        """Drop the suspect that was to be taken, if what was taken is not it.

        It lost a damaged row, so it is another batch: the suspect would be asked for for ever.
        """
        if self._recalled is not None and self._recalled[0] is take:
            key = self._recalled[1]
            if taken.batch is None or taken.batch.key != key:
                self.suspects.drop(key)

    def note(self, outcome: Outcome) -> None:
        """Note what an outcome says of this round and of sizes, whatever it leads to."""
        if outcome.meaning is Meaning.ACCEPTED:
            self._body_limit.accept(outcome.batch.size)
        elif outcome.meaning is Meaning.TOO_LARGE:
            self._body_limit.refuse(outcome.batch.size)
            # the remainder of a full batch is not one
            last_id = outcome.batch.last_id
            self.round.up_to = max(self.round.up_to, last_id)
            self.round.small_up_to = max(self.round.small_up_to, last_id)
        elif outcome.meaning is Meaning.WITHDRAWN:
            self.round.withdrawals += 1
        elif outcome.meaning is Meaning.IDENTITY:
            self.round.refusals += outcome.verdict.status is not None

    def known_of(
        self, batch: Batch, *, is_stopping: bool, may_be_divided: bool, told: Reason | None
    ) -> Known:
        """What is known of a batch when its outcome arrives; `Known` has the rest."""
        return Known(
            is_stopping=is_stopping,
            is_open=self.round.is_open,
            may_be_divided=may_be_divided,
            is_at_fault=self.suspects.is_at_fault(batch.key),
            failures=self.suspects.failures_of(batch.key),
            held_for=self.turns.reason_of(batch.identity),
            told=told,
            refusals=self.round.refusals,
            withdrawals=self.round.withdrawals,
        )

    def retries_of(self, batch: Batch, *, is_outage: bool) -> int:
        """How often a batch is tried again at once: not in an outage, and a suspect is not."""
        is_first_failure = not is_outage and batch.key not in self.suspects
        is_retried = self.round.is_asked_for or is_first_failure
        return self._pace.max_retries if is_retried else 0

    def heed(self, decision: Decision, outcome: Outcome) -> None:
        """Go by what was decided of an outcome's batch."""
        batch = outcome.batch
        if decision.finding is Finding.ANSWERED:
            self.round.is_open = True
            self.suspects.clear(batch.key)
            self.turns.served(batch.identity)
        elif decision.finding is Finding.SUSPECT:
            self.suspects.fail(batch.key, batch.identity)
        elif decision.finding is Finding.HELD:
            self.turns.hold(batch.identity, outcome.reason)
        if decision.is_promising:
            self.turns.begin()

    def _take_of(self, identity: str) -> Take:
        is_searching = self.suspects.is_searching
        urgent_up_to = 0 if rank_of(identity) else self.round.urgent_up_to
        return Take(
            self._pace.largest_batch,
            identity,
            minimum=self._pace.batch_size if is_searching else self._pace.minimum,
            small_up_to=0 if is_searching else max(self.round.small_up_to, urgent_up_to),
            up_to=max(self.round.up_to, urgent_up_to),
            max_bytes=self._body_limit.bytes,
            newest_share=self._pace.newest_share,
            aside=(*self.suspects.aside, *self.in_hand),
            unsent=self.unsent,
        )

    def _retry_current_user(self) -> None:
        """Let somebody who uses the device again have their turn, if nobody signed before."""
        is_local = (Meaning.IDENTITY, None) in self.turns.reasons
        if self._users is not None and is_local:
            with suppress(IdentityError):
                self.turns.retry_unsigned(self._users.current().identity)
