"""How a batch fared in a round, and what is kept and told of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from segops_durable.api import Meaning, Verdict
from segops_durable.errors import (
    DamagedEventError,
    ErasedTooLateError,
    IdentityError,
    SkippedEventsError,
)
from segops_durable.identity import name_of
from segops_durable.outbox import Batch, Cause, Letter, Settlement, read_event

if TYPE_CHECKING:
    from datetime import datetime

    from segops_durable.errors import DeliveryError
    from segops_durable.outbox import Row

INCONCLUSIVE = frozenset({Meaning.UNREACHABLE, Meaning.NOT_SEGOPS})
"""What leaves it open whether this batch is at fault, or the way to SegOps.

A reset, a 5xx or a firewall's page may be met by one batch alone, for what is in it, or by all.
A retry, and then the other batches, tell which: one that stays at the head until it gets
through would block every event behind it, for ever if it is at fault."""

Reason: TypeAlias = "tuple[Meaning, int | None]"
"""Why something could not be sent: what it means, and the HTTP status if there was one."""

_CAUSES = {Meaning.REFUSED: Cause.REFUSED, Meaning.TOO_LARGE: Cause.TOO_LARGE}


@dataclass(frozen=True)
class Outcome:
    """How a batch fared.

    Attributes:
        batch: The batch.
        verdict: What became of the last request.
        attempts: How many requests were made.
        left: Those of its rows that were not erased meanwhile; None for all of them.
        retry_after: Seconds that SegOps asks to wait; None if it asks for none.
    """

    batch: Batch
    verdict: Verdict
    attempts: int
    left: tuple[Row, ...] | None = None
    retry_after: float | None = None

    @property
    def meaning(self) -> Meaning:
        """What it means for the batch."""
        return self.verdict.meaning

    @property
    def reason(self) -> Reason:
        """Why it is not settled, if it is not."""
        return self.verdict.meaning, self.verdict.status

    def after_erasure(self, left: tuple[Row, ...]) -> Outcome:
        """The same of a batch of which a person was erased while it was on its way.

        What SegOps says of the others may name that one, so its words are left out.
        """
        detail = "in part they were erased meanwhile"
        return replace(self, left=left, verdict=replace(self.verdict, detail=detail))

    def unread(self) -> Outcome:
        """The same of a batch of which nobody can say whether a person in it was erased."""
        detail = "the disk failed, so what SegOps said of the events is left out"
        return replace(self, left=(), verdict=replace(self.verdict, detail=detail))

    def as_error(self, retry_at: datetime | None) -> DeliveryError:
        """The error for a batch that waits, until a time that may be known."""
        size, verdict = len(self.batch.rows), self.verdict
        if verdict.meaning is Meaning.TOO_LARGE:
            detail = f"{verdict.detail}; SegOps may have it, so it is not divided yet"
            verdict = replace(verdict, meaning=Meaning.UNREACHABLE, detail=detail)
        error = verdict.as_error(batch_size=size, attempts=self.attempts, retry_at=retry_at)
        if isinstance(error, IdentityError):
            error.identity = name_of(self.batch.sent_as)
        return error

    def settled(self) -> tuple[Settlement, DeliveryError | None]:
        """How a batch is settled that SegOps has accepted, or refused for good; what is told."""
        return self._accepted() if self.meaning is Meaning.ACCEPTED else self._refused()

    def _accepted(self) -> tuple[Settlement, DeliveryError | None]:
        """How an accepted batch is settled; with skipped events a copy of all of it is kept.

        SegOps does not say which events it skipped.
        """
        size, skipped = len(self.batch.rows), self.verdict.skipped
        if not skipped:
            return Settlement(self.batch, accepted=size), None
        letter = _skipped(self.verdict, size)
        error = SkippedEventsError(
            f"SegOps skipped events: {letter.reason}",
            batch_size=size,
            attempts=self.attempts,
            status=self.verdict.status,
            events=self._events(),
            hint="The batch is kept in the dead letters",
        )
        error.skipped = skipped
        return Settlement(self.batch, accepted=size - skipped, letter=letter), error

    def _refused(self) -> tuple[Settlement, DeliveryError]:
        """How a single event is settled that SegOps refused for good."""
        verdict = self.verdict
        error = verdict.as_error(batch_size=1, attempts=self.attempts, events=self._events())
        letter = Letter(_CAUSES[verdict.meaning], error.message, verdict.status, verdict.detail)
        return Settlement(self.batch, 0, letter), error

    def _events(self) -> list[dict[str, Any]]:
        rows = self.batch.rows if self.left is None else self.left
        return [event for row in rows if (event := read_event(row.data)) is not None]


def _skipped(verdict: Verdict, size: int) -> Letter:
    """Why a batch with skipped events is kept: all were skipped, or nobody knows which."""
    if verdict.skipped == size:
        return Letter(Cause.REFUSED, f"all {size} events were refused", verdict.status)
    reason = f"{verdict.skipped} of {size} refused, the server does not say which"
    return Letter(Cause.SKIPPED, reason, verdict.status)


def erased_too_late(count: int, outcome: Outcome) -> ErasedTooLateError:
    """The error for events that were on their way when they were erased."""
    return ErasedTooLateError(
        f"{count} events were on their way to SegOps when they were erased",
        batch_size=count,
        attempts=outcome.attempts,
        status=outcome.verdict.status,
        hint="SegOps may have them: have the person erased there as well",
    )


def damaged_events(count: int) -> DamagedEventError:
    """The error for stored events that are not as they were stored."""
    return DamagedEventError(
        f"{count} stored events do not match their checksums",
        batch_size=count,
        hint="They are kept in the dead letters; check the disk",
    )
