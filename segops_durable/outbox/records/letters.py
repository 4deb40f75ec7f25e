"""Dead letters: events that are not sent any more, and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any

from segops_durable.events import NORMAL
from segops_durable.identity import priority_of
from segops_durable.outbox.records.schema import LETTERS
from segops_durable.outbox.records.seals import is_sealed
from segops_durable.outbox.records.typed import as_bytes, is_time

if TYPE_CHECKING:
    from collections.abc import Sequence


class Cause(str, Enum):
    """Why an event is in the dead letters."""

    REFUSED = "refused"  # SegOps refused it, and nothing but it
    TOO_LARGE = "too_large"  # alone in a request, it was too large
    SKIPPED = "skipped"  # one of a batch of which SegOps skipped some: perhaps accepted
    EXPIRED = "expired"  # it waited longer than `max_age`; in no request that may have arrived
    DAMAGED = "damaged"  # its bytes are not those that were stored


@dataclass(frozen=True)
class Letter:
    """Why rows go to the dead letters.

    Attributes:
        cause: The kind of reason.
        reason: In words.
        status: The HTTP status of the answer that refused them, if one did.
        answer: What the server said.
    """

    cause: Cause
    reason: str
    status: int | None = None
    answer: str = ""


@dataclass(frozen=True)
class DeadLetter:
    """An event that is kept, and not sent any more.

    Attributes:
        id: Its number among the dead letters; never used again.
        data: The event's bytes, as they were to be sent.
        tracked_at: When it was tracked, UTC.
        died_at: When it was put here, UTC.
        cause: Why, as a value to decide by.
        reason: Why, in words.
        status: The HTTP status of the answer that refused it, if one did.
        answer: What the server said.
        priority: ``high``, ``normal`` or ``low``, as it was tracked.
    """

    id: int
    data: bytes
    tracked_at: datetime
    died_at: datetime
    cause: Cause
    reason: str
    status: int | None
    answer: str
    priority: str

    @property
    def event(self) -> dict[str, Any] | None:
        """The event; None where its bytes are damaged beyond reading."""
        return read_event(self.data)


def letter_from_record(number: int, record: Sequence[Any]) -> DeadLetter:
    """Read a record of the table; one that is not what was written is a damaged letter."""
    _row_id, data, identity, tracked_at, died_at, cause, reason, status, answer, _seal = record
    is_sound = is_sealed(LETTERS, record)
    return DeadLetter(
        number,
        as_bytes(data),
        _utc(tracked_at),
        _utc(died_at),
        Cause(cause) if is_sound and cause in _CAUSES else Cause.DAMAGED,
        str(reason) if is_sound else f"this letter is not what was written ({str(reason)[:80]})",
        status if isinstance(status, int) else None,
        str(answer),
        priority_of(identity) if isinstance(identity, str) else NORMAL,
    )


def read_event(data: bytes) -> dict[str, Any] | None:
    """Read an event's bytes, or None where they are damaged."""
    try:
        event = json.loads(data)
    except (TypeError, ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _utc(seconds: object) -> datetime:
    known = seconds if isinstance(seconds, float) and is_time(seconds) else 0.0
    return datetime.fromtimestamp(known, timezone.utc)


_CAUSES = {cause.value for cause in Cause}
