"""The events of a request, and the refusal of what is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segops_durable.errors import InvalidEventError
from segops_durable.intake import Encoded
from segops_durable.intake.received import encode_alike, encode_one, first_line
from segops_durable.intake.received import read_document as _read
from segops_durable.relay.answers import bad_event, detail
from segops_durable.system.clock import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_EVENTS = 500
"""Of a batch (public documentation)."""


def read_document(body: bytes) -> tuple[dict[str, Any], Callable[[Any], bytes]]:
    """Read a JSON object; give as well what writes what it holds.

    Raises:
        RefusedError: It is none.
    """
    try:
        return _read(body)
    except ValueError as error:
        raise detail(400, f"JSON parse error - {first_line(error)}") from None


def events_of(document: dict[str, Any]) -> list[Any]:
    """The events of a batch.

    Raises:
        RefusedError: It has none, or too many.
    """
    events = document.get("events")
    if not isinstance(events, list):
        raise bad_event(InvalidEventError("events", "must be a list", type(events).__name__))
    if not 1 <= len(events) <= MOST_EVENTS:
        problem = f"must have 1 to {MOST_EVENTS} events"
        raise bad_event(InvalidEventError("events", problem, len(events)))
    return events


def encode_all(
    events: Sequence[Any],
    write: Callable[[Any], bytes],
    now: Moment,
    anonymous_id: str | None,
    largest: int,
    *,
    is_batch: bool,
) -> Encoded:
    """The bytes of events, and when each was tracked.

    Args:
        events: The events, as they were read.
        write: Writes what they hold.
        now: When they were received.
        anonymous_id: Of the session that they came in.
        largest: Bytes that one may have.
        is_batch: Whether a refusal says which of them it is about.

    Raises:
        RefusedError: One of them cannot be sent; none is stored.
    """
    timed = Moment(now.wall)
    alike = encode_alike(events, write, now.wall, anonymous_id, largest)
    if alike is not None:
        return Encoded(alike.encoded, [timed if each else now for each in alike.are_timed])
    encoded: list[bytes] = []
    moments: list[Moment] = []
    for number, event in enumerate(events):
        try:
            encoded.append(encode_one(event, write, now.wall, anonymous_id, largest))
        except InvalidEventError as error:
            raise bad_event(error, number if is_batch else None) from None
        moments.append(now if event.get("occurred_at") is None else timed)
    return Encoded(encoded, moments)
