"""What callers send: JSON, held to its letter, and the events in it."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn

from segops_durable.errors import InvalidEventError
from segops_durable.events import encode_received, write_json
from segops_durable.intake import Encoded
from segops_durable.intake.sources.json_objects import read_object
from segops_durable.relay.answers import bad_event, detail
from segops_durable.system.clock import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_EVENTS = 500
"""Of a batch (public documentation)."""


def read_document(body: bytes) -> tuple[dict[str, Any], Callable[[Any], bytes]]:
    """Read a JSON object; give as well what writes what it holds.

    Raises:
        RefusedError: It is none, or has a name twice, of which nobody knows which one counts.
    """
    try:
        document, is_plain = read_object(body)
        if is_plain and write_json is not None:
            return document, write_json
        # numbers of many digits stay numbers, and integers whole
        found: dict[str, Any] = json.loads(
            body, parse_constant=_refuse_constant, object_pairs_hook=_without_doubles
        )
    except (ValueError, RecursionError) as error:
        raise detail(400, f"JSON parse error - {_first_line(error)}") from None
    return found, _write_with_care


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
    encoded: list[bytes] = []
    moments: list[Moment] = []
    timed = Moment(now.wall)
    for number, event in enumerate(events):
        try:
            data = _encode(event, write, now.wall, anonymous_id, largest)
        except InvalidEventError as error:
            raise bad_event(error, number if is_batch else None) from None
        encoded.append(data)
        moments.append(now if event.get("occurred_at") is None else timed)
    return Encoded(encoded, moments)


def _encode(
    event: object,
    write: Callable[[Any], bytes],
    now: float,
    anonymous_id: str | None,
    largest: int,
) -> bytes:
    if not isinstance(event, dict):
        raise InvalidEventError("event", "must be a JSON object", type(event).__name__)
    try:
        data = encode_received(event, write, now=now, anonymous_id=anonymous_id)
    except InvalidEventError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        problem = f"cannot be sent ({_first_line(error)})"
        raise InvalidEventError("event", problem, "it") from None
    if len(data) > largest:
        problem = f"must have at most {largest} bytes when encoded"
        raise InvalidEventError("event", problem, len(data))
    return data


def _write_with_care(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {name!r} is there twice")
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
