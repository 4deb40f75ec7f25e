"""How a batch fared in a round, and what is kept and told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segops_durable.errors import IdentityError, SkippedEventsError
from segops_durable.identity import name_of
from segops_durable.outbox import Batch, Cause, Letter, Settlement, read_event
from segops_durable.verdicts import Meaning, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from segops_durable.errors import DeliveryError

_CAUSES = {Meaning.REFUSED: Cause.REFUSED, Meaning.TOO_LARGE: Cause.TOO_LARGE}


@dataclass(frozen=True)
class Outcome:
    """How a batch fared.

    Attributes:
        batch: The batch.
        verdict: What became of the last request.
        attempts: How many requests were made.
    """

    batch: Batch
    verdict: Verdict
    attempts: int

    @property
    def meaning(self) -> Meaning:
        """What it means for the batch."""
        return self.verdict.meaning

    def as_error(self, retry_at: datetime | None) -> DeliveryError:
        """The error for a batch that waits, until a time that may be known."""
        size = len(self.batch.rows)
        error = self.verdict.as_error(batch_size=size, attempts=self.attempts, retry_at=retry_at)
        if isinstance(error, IdentityError):
            error.identity = name_of(self.batch.sent_as)
        return error

    def accepted(self) -> tuple[Settlement, DeliveryError | None]:
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

    def refused(self) -> tuple[Settlement, DeliveryError]:
        """How a single event is settled that SegOps refused for good."""
        verdict = self.verdict
        error = verdict.as_error(batch_size=1, attempts=self.attempts, events=self._events())
        letter = Letter(_CAUSES[verdict.meaning], error.message, verdict.status, verdict.detail)
        return Settlement(self.batch, 0, letter), error

    def _events(self) -> list[dict[str, Any]]:
        rows = self.batch.rows
        return [event for row in rows if (event := read_event(row.data)) is not None]


def _skipped(verdict: Verdict, size: int) -> Letter:
    """Why a batch with skipped events is kept: all were skipped, or nobody knows which."""
    if verdict.skipped == size:
        return Letter(Cause.REFUSED, f"all {size} events were refused", verdict.status)
    reason = f"{verdict.skipped} of {size} refused, the server does not say which"
    return Letter(Cause.SKIPPED, reason, verdict.status)
