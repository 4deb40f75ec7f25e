"""Events as other SDKs send them: JSON, held to its letter, and encoded with all that they have.

It is entered by its name, by whoever takes them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from segops_durable.errors import InvalidEventError
from segops_durable.events import encode_received, encode_received_many, write_json
from segops_durable.intake.encoded import too_large
from segops_durable.intake.sources.json_objects import read_object, read_strictly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segops_durable.events import Many

_LONGEST_WORDS = 200
_MANY = 4
"""From so many events on it pays to look for what they have in common."""


def read_document(body: bytes) -> tuple[dict[str, Any], Callable[[Any], bytes]]:
    """Read a JSON object; give as well what writes what it holds.

    Raises:
        ValueError: It is none, or has a name twice, of which nobody knows which one counts.
    """
    try:
        document, is_plain = read_object(body)
        if is_plain and write_json is not None:
            return document, _write_fast
        # numbers of many digits stay numbers, and integers whole
        found: dict[str, Any] = read_strictly(body)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return found, _write_with_care


def encode_alike(
    events: Sequence[object],
    write: Callable[[Any], bytes],
    now: float,
    anonymous_id: str | None,
    largest: int,
) -> Many | None:
    """The bytes of events that are alike, as nearly all batches are; as `encode_one` makes them.

    Returns:
        None where one of them has to be looked at by itself.
    """
    if write is not _write_fast or len(events) < _MANY:
        return None
    return encode_received_many(events, now, anonymous_id, largest)


def encode_one(
    event: object,
    write: Callable[[Any], bytes],
    now: float,
    anonymous_id: str | None,
    largest: int,
) -> bytes:
    """The bytes of an event.

    Args:
        event: As it was read.
        write: Writes what it holds.
        now: Unix time in seconds, for one that does not say when it occurred.
        anonymous_id: The visitor's, for one that does not say it.
        largest: Bytes that it may have.

    Raises:
        InvalidEventError: It cannot be sent, or is too large.
    """
    if not isinstance(event, dict):
        raise InvalidEventError("event", "must be a JSON object", type(event).__name__)
    try:
        data = encode_received(event, write, now=now, anonymous_id=anonymous_id)
    except InvalidEventError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        problem = f"cannot be sent ({first_line(error)})"
        raise InvalidEventError("event", problem, "one of its values") from None
    if len(data) > largest:
        raise too_large(largest, len(data))
    return data


def first_line(error: BaseException) -> str:
    """What an error says, cut to what an answer can bear."""
    return (str(error) or type(error).__name__).splitlines()[0][:_LONGEST_WORDS]


def _write_fast(value: object) -> bytes:
    assert write_json is not None  # noqa: S101 - as whoever gave this has seen
    try:
        return write_json(value)
    except TypeError:  # nested more deeply than orjson writes, and not than it reads
        return _write_with_care(value)


def _write_with_care(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()
