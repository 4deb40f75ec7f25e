"""What is done on disk with a batch once it is decided; the next is taken in the same transaction.

What SegOps has answered for is owed until its rows have left the disk. Where the disk fails
them, they are removed before anything else is sent: else they would be sent again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from segops_durable.api import Meaning
from segops_durable.delivery.decisions import Fate, given_back
from segops_durable.delivery.outcome import damaged_events, erased_too_late
from segops_durable.errors import SegOpsError, StorageError
from segops_durable.outbox import Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from segops_durable.delivery.agenda import Agenda
    from segops_durable.delivery.arrivals import Arrivals
    from segops_durable.delivery.decisions import Decision
    from segops_durable.delivery.outcome import Outcome
    from segops_durable.outbox import Batch, Outbox, Settlement, Take


class Settling:
    """Takes batches, and carries out what is decided of them. For the sender's thread.

    Args:
        outbox: Where they are.
        agenda: What is taken next.
        arrivals: Which of them SegOps may have.
        report: Called with each error; it must not raise.
    """

    def __init__(
        self,
        outbox: Outbox,
        agenda: Agenda,
        arrivals: Arrivals,
        report: Callable[[SegOpsError], None],
    ) -> None:
        self._batches = outbox.batches
        self._expiry = outbox.expiry
        self._lock = outbox.sender_lock
        self._agenda = agenda
        self._arrivals = arrivals
        self._report = report
        # not yet done, nor told
        self._owed: list[tuple[Outcome, Settlement, SegOpsError | None]] = []

    @property
    def owes(self) -> bool:
        """Whether something was answered for, and could not be removed."""
        return bool(self._owed)

    def note_found(self, taken: Taken) -> None:
        """Tell of what was found damaged; look on where all that was looked at had expired."""
        if taken.damaged:
            self._report(damaged_events(taken.damaged))
        if taken.expired and taken.batch is None:
            self._agenda.turns.begin()

    def expire(self, is_over: Callable[[], bool]) -> None:
        """Have what has waited too long go, before anything is sent.

        A disk that fails here is told of, and keeps nothing from being sent.

        Args:
            is_over: Whether this process is to send no more.
        """
        try:
            while self._expiry.sweep(self._agenda.unsent) and not is_over():
                pass
        except StorageError as error:
            self._report(error)

    def take(self, take: Take | None) -> Taken:
        """Take a batch, if one is wanted."""
        if take is None:
            return Taken(None)
        taken = self._batches.take(take)
        self._agenda.note_taken(take, taken)
        return taken

    def read_ahead(self, batch: Batch) -> None:
        """Read what will be taken next, while a batch is on its way; leave errors to the take."""
        with suppress(OSError, SegOpsError):
            self._batches.read_ahead(self._agenda.foreseen(batch))

    def carry_out(
        self, decision: Decision, outcome: Outcome, *, is_one_of_many: bool = False
    ) -> Taken:
        """Do with a batch what was decided, and take the next, unless the round ends.

        Args:
            decision: What was decided.
            outcome: How the batch fared.
            is_one_of_many: Take none, and leave what is settled owed: `pay` does both for all.
                Defaults to False.
        """
        batch, fate = outcome.batch, decision.fate
        takes_none = decision.ends_round or is_one_of_many
        if fate is Fate.SETTLED:
            self._owed.append((outcome, *outcome.settled()))
            if is_one_of_many:
                return Taken(None)
            found = self.pay([] if takes_none else [self._agenda.next()])
            return found[0] if found else Taken(None)
        if fate is not Fate.KEPT:
            self._agenda.suspects.drop(batch.key)
        then = None if takes_none else self._agenda.next()
        if fate is Fate.RELEASED and self._may_stay_marked(outcome):
            self._agenda.unsent.add(batch.key)
            fate = Fate.KEPT
        if fate is Fate.KEPT:
            return self.take(then)
        taken = (self._batches.halve if fate is Fate.HALVED else self._batches.release)(batch, then)
        self._arrivals.drop(batch.key)
        self._arrivals.note_unsent(taken.made)
        return taken

    def pay(self, takes: Iterable[Take | None] = ()) -> list[Taken]:
        """Remove all that is owed, and take what is wanted, in one transaction.

        Raises:
            StorageError: The disk fails; all is owed still.
        """
        wanted = [take for take in takes if take is not None]
        owed = tuple(self._owed)
        if not owed:
            return [self.take(take) for take in wanted[:1]]
        taken, erased = self._batches.settle_all([each for _, each, _ in owed], wanted)
        del self._owed[: len(owed)]
        for (outcome, settlement, error), count in zip(owed, erased, strict=True):
            self._arrivals.drop(settlement.batch.key)
            if count and settlement.accepted and outcome.left is None:
                self._report(erased_too_late(count, outcome))
            if error is not None:
                self._report(error)
        return taken

    def leave(self, batch: Batch) -> None:
        """Leave a batch that was taken, and is not sent; it may be another process's by now."""
        if not self._lock.is_held:
            return
        may_be_divided = self._arrivals.may_be_divided(batch)
        if given_back(batch, may_be_divided=may_be_divided) is Fate.RELEASED:
            self._batches.release(batch, None)

    def give_back(self) -> None:
        """Let what stayed marked though it has not left be taken anew, by whoever sends next.

        Whoever sends by now may have it on its way: without the mark a kill would have it sent
        again in another batch.
        """
        if self._lock.is_held:
            self._batches.give_back(self._agenda.unsent)
        self._agenda.unsent.clear()

    def _may_stay_marked(self, outcome: Outcome) -> bool:
        """Whether a batch that has not left may as well wait as it is."""
        is_withdrawn = outcome.meaning is Meaning.WITHDRAWN  # it lost rows
        is_unsent = outcome.verdict.is_unsent and not is_withdrawn
        return is_unsent and self._batches.may_stay_marked(outcome.batch)
