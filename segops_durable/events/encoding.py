"""The bytes of an event, checked: what the outbox stores, and what SegOps receives.

The JSON made here is what the outbox stores and what the server receives: nothing parses
or re-encodes it on the way. So whatever cannot be sent is refused here, while the caller
can still mend it, with the path of the culprit.
"""

from __future__ import annotations

import logging
import re
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from segops_durable.errors import InvalidEventError
from segops_durable.events.event import Event, make_event
from segops_durable.events.fast_json import write_json, written_fast
from segops_durable.events.payloads import encode_with, is_unicode, plain_object, words_of
from segops_durable.events.timestamps import timestamp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_log = logging.getLogger("segops_durable")

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

_MAX_NAMES = 1000


def encode_event(
    event: Event | Mapping[str, Any],
    now: float | None = None,
    anonymous_id: str | None = None,
) -> bytes:
    """Check an event and encode it to the very bytes that will be stored and sent.

    Args:
        event: The event, in any form that `make_event` takes.
        now: Unix time in seconds, for an event that does not say when it occurred. Defaults
            to what the machine's clock shows.
        anonymous_id: The device's, for an event under a public key: SegOps takes the event for
            the device's user, whose history another visitor's id would be linked to.

    Raises:
        InvalidEventError: Something in it cannot be sent; `field` says where.
    """
    encoded = _encoded_fast(event, now, anonymous_id)
    if encoded is None:
        encoded = encode_with("payload", _document(make_event(event), now, anonymous_id))
    return encoded


def _encoded_fast(event: object, now: float | None, anonymous_id: str | None) -> bytes | None:
    """The bytes of an event that is as nearly all are; None where it takes a closer look."""
    kind = type(event)
    if kind is not dict and kind is not Event:
        return None
    fields: dict[str, Any] = event if kind is dict else vars(event)  # type: ignore[assignment]  # it is one
    get = fields.get
    user_id, event_type, payload = get("user_id"), get("event_type"), get("payload")
    if payload is None and kind is dict:
        payload = {}
    if (
        type(user_id) is not str
        or not user_id
        or type(event_type) is not str
        or not event_type
        or type(payload) is not dict
        or get("anonymous_id") is not None
    ):
        return None
    try:
        occurred_at = timestamp_of(get("occurred_at"), now)
    except InvalidEventError:
        return None  # something before it may be wrong as well
    document = {
        "user_id": user_id,
        "event_type": event_type,
        "occurred_at": occurred_at,
        "payload": payload,
    }
    if anonymous_id is not None:
        document["anonymous_id"] = anonymous_id
    encoded = written_fast(document, payload)
    if encoded is not None and not _is_snake_case(event_type):
        _warn_of(event_type)
    return encoded


def encode_parsed(
    event: Event, dumps: Callable[[Any], bytes], *, now: float, anonymous_id: str | None
) -> bytes:
    """Encode an event whose payload was just read from JSON, and so can be written as JSON.

    Args:
        event: The event.
        dumps: Writes JSON, to UTF-8.
        now: As for `encode_event`.
        anonymous_id: As for `encode_event`.

    Raises:
        InvalidEventError: One of its other fields cannot be sent.
    """
    return dumps(_document(event, now, anonymous_id))


def encode_received(
    fields: Mapping[str, Any],
    dumps: Callable[[Any], bytes],
    *,
    now: float,
    anonymous_id: str | None = None,
) -> bytes:
    """Encode an event that another SDK has sent, as it was read from JSON.

    Its fields are held to what SegOps asks of them: texts are texts, and not numbers that we would
    make texts of. Fields that are not known here are those of a newer SDK, and go on as they are.

    Args:
        fields: The event.
        dumps: Writes JSON, to UTF-8.
        now: As for `encode_event`.
        anonymous_id: The visitor's, of an event that does not name one. Defaults to none.

    Raises:
        InvalidEventError: One of the fields cannot be sent.
        ValueError: As `dumps` raises.
    """
    user_id, event_type = fields.get("user_id"), fields.get("event_type")
    if not _is_plain(user_id) or not _is_plain(event_type):
        user_id, event_type = _text("user_id", user_id), _text("event_type", event_type)
    document: dict[str, Any] = {
        "user_id": user_id,
        "event_type": event_type,
        "occurred_at": timestamp_of(fields.get("occurred_at"), now),
        "payload": plain_object("payload", fields.get("payload")),
    }
    if fields.get("anonymous_id") is not None:
        _text("anonymous_id", fields["anonymous_id"])
    elif anonymous_id is not None:
        document["anonymous_id"] = anonymous_id
    if not document.keys() >= fields.keys():
        # behind ours: `retimed` takes the first time that it finds for that of the event
        document |= {name: value for name, value in fields.items() if name not in document}
    return dumps(document)


def encode_checked(
    users: Iterable[str],
    types: Sequence[str],
    times: Iterable[str],
    payloads: Iterable[dict[str, Any]],
    anonymous_id: str | None,
) -> list[bytes]:
    """Encode the fields of many events as `encode_columns` does; warn of their names as any."""
    encoded = encode_columns(users, types, times, payloads, anonymous_id)
    for event_type in dict.fromkeys(types):
        if not _is_snake_case(event_type):
            _warn_of(event_type)
    return encoded


def encode_columns(
    users: Iterable[str],
    types: Iterable[str],
    times: Iterable[str],
    payloads: Iterable[dict[str, Any]],
    anonymous_id: str | None,
) -> list[bytes]:
    """Encode the fields of many events, in which there is nothing to be refused, by orjson.

    Args:
        users: Their `user_id`, none of them empty.
        types: Their `event_type`, likewise.
        times: Their `occurred_at`, as `timestamp_of` gives it.
        payloads: Nothing else is in them than what orjson writes as `json` does.
        anonymous_id: As for `encode_event`.
    """
    more = {} if anonymous_id is None else {"anonymous_id": anonymous_id}
    write: Any = write_json  # where it is None, nobody has found that it writes them
    return [
        write(
            {
                "user_id": user_id,
                "event_type": event_type,
                "occurred_at": occurred_at,
                "payload": payload,
                **more,
            }
        )
        for user_id, event_type, occurred_at, payload in zip(
            users, types, times, payloads, strict=True
        )
    ]


def _document(event: Event, now: float | None, anonymous_id: str | None) -> dict[str, Any]:
    try:
        user_id, event_type = event.user_id, event.event_type
        occurred_at, payload = event.occurred_at, event.payload
        own = event.anonymous_id
    except Exception as error:
        raise InvalidEventError("event", f"cannot be read ({words_of(error)})", event) from error
    document: dict[str, Any] = {
        "user_id": _id("user_id", user_id),
        "event_type": _text("event_type", event_type),
        "occurred_at": timestamp_of(occurred_at, now),
        "payload": plain_object("payload", payload),
    }
    if not _is_snake_case(document["event_type"]):
        _warn_of(document["event_type"])
    visitor = anonymous_id if own is None else _id("anonymous_id", own)
    if visitor is not None:
        if anonymous_id is not None and visitor != anonymous_id:
            problem = "must be the device's own under a public key"
            raise InvalidEventError("anonymous_id", problem, own, hint="Leave it out")
        document["anonymous_id"] = visitor
    return document


def _is_plain(value: object) -> bool:
    """Whether a text is as nearly all are, so that nothing about it has to be looked for."""
    return type(value) is str and value.isascii() and value != ""


def _id(name: str, value: object) -> str:
    """The text of an id; an integer and a UUID have one that nobody reads as another."""
    if type(value) is str:
        return _text(name, value)
    if isinstance(value, int) and not isinstance(value, bool | Enum):
        try:
            return int.__repr__(value)
        except ValueError as error:  # it has more digits than Python will write
            problem = f"cannot be read ({words_of(error)})"
            raise InvalidEventError(name, problem, type(value).__name__) from None
    return _text(name, UUID.__str__(value) if isinstance(value, UUID) else value)


def _text(name: str, value: object) -> str:
    """A text that was given, as a plain one: the methods of another may do anything."""
    if not isinstance(value, str):
        raise InvalidEventError(name, "must be a non-empty string", value)
    text = value if type(value) is str else str.__str__(value)
    if not text:
        raise InvalidEventError(name, "must be a non-empty string", value)
    if not is_unicode(text):
        raise InvalidEventError(name, "has a lone surrogate", value)
    return text


@lru_cache(maxsize=_MAX_NAMES)  # an application has a few
def _is_snake_case(event_type: str) -> bool:
    return _SNAKE_CASE.fullmatch(event_type) is not None


_warned_names: dict[str, object] = {}


def _warn_of(event_type: str) -> None:
    """Warn once a name; there is a bound, for names that are made of user input.

    Without a lock: a signal handler that tracks would wait for the call that it interrupted,
    and a child for a thread that was in here at the fork.
    """
    this = object()
    if len(_warned_names) >= _MAX_NAMES:
        return
    # asked and noted in one step of the interpreter: of two threads with one name only one warns
    if _warned_names.setdefault(event_type, this) is not this:
        return
    _log.warning("event_type %r is not snake_case; it is sent as it is", event_type)
