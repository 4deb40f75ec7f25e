"""Events as they are stored: their bytes, within what one may have, and what goes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.errors import InvalidEventError
from segops_durable.events import NORMAL, Event, encode_event, encode_parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from segops_durable.system.clock import Moment


class Encoded(NamedTuple):
    """Events as they are stored.

    Attributes:
        encoded: The bytes of each.
        moments: When each was tracked.
        priorities: Which go first; None where all are as any. Defaults to that.
    """

    encoded: list[bytes]
    moments: list[Moment]
    priorities: list[str] | None = None


def as_given(priorities: Iterable[str]) -> list[str] | None:
    """The priorities of events; None where none has one, as nearly always."""
    found = [*priorities]
    return None if {*found} <= {NORMAL} else found


def encode_within(
    largest: int,
    event: Event,
    now: float,
    anonymous_id: str | None,
    write_json: Callable[[Any], bytes] | None = None,
) -> bytes:
    """Encode an event.

    Args:
        largest: Bytes that it may have.
        event: The event.
        now: Unix time in seconds, for one that does not say when it occurred.
        anonymous_id: The device's, under a public key.
        write_json: Writes a payload that was just read from JSON, faster than what has to look
            at each value. Defaults to that.

    Raises:
        InvalidEventError: It cannot be sent, or is too large.
    """
    if write_json is None:
        encoded = encode_event(event, now, anonymous_id)
    else:
        encoded = encode_parsed(event, write_json, now=now, anonymous_id=anonymous_id)
    if len(encoded) > largest:
        raise too_large(largest, len(encoded))
    return encoded


def too_large(largest: int, size: int) -> InvalidEventError:
    """The error for an event that has more bytes than it may have."""
    problem = f"must have at most {largest} bytes when encoded"
    return InvalidEventError("event", problem, size, hint="See max_event_bytes")
