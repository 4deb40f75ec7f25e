"""Events: what they are, what is refused, and the bytes that will be sent.

The JSON made here is what the outbox stores and what the server receives: nothing parses
or re-encodes it on the way. So whatever cannot be sent is refused here, while the caller
can still mend it, with the path of the culprit.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from segops_durable.errors import InvalidEventError

IDENTIFY_EVENT_TYPE = "context_identified"
"""The event type that `identify` stands for (public SegOps documentation)."""

_log = logging.getLogger("segops_durable")

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_TIMESTAMP = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[Tt ](?P<time>\d\d:\d\d(:\d\d)?)(?P<fraction>[.,]\d+)?"
    r"(?P<zone>[Zz]|[+-]\d\d:?\d\d)",
    re.ASCII,
)
_MAX_WARNED_NAMES = 1000
_MAX_EXACT_INTEGER_DIGITS = 40


@dataclass
class Event:
    """One user event.

    Attributes:
        user_id: Your identifier for the user: an email address, a UUID, …
        event_type: A snake_case name, e.g. ``page_viewed``.
        occurred_at: ISO 8601 text with a zone, or an aware datetime. Defaults to now.
        payload: Any properties that JSON can carry; also datetime, date, UUID, Decimal
            (sent as a number) and Enum (sent as its value). Defaults to none.
    """

    user_id: str
    event_type: str
    occurred_at: str | datetime | None = None
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass
class Context:
    """What is known of a user; sent as a ``context_identified`` event.

    Attributes:
        user_id: Your identifier for the user.
        traits: Properties of the user, as for `Event.payload`. Defaults to none.
    """

    user_id: str
    traits: dict[str, Any] = field(default_factory=dict)


@dataclass
class UserContext:
    """Who is using the device now, for a public key (``pk_…``).

    Attributes:
        user_id: The logged-in user; None for a visitor.
        anonymous_id: A stable id for a visitor.
        user_id_sig: The signature that your backend made with `sign_user_id`.
        user_id_ts: The Unix time in seconds that belongs to the signature.
    """

    user_id: str | None = None
    anonymous_id: str | None = None
    user_id_sig: str | None = None
    user_id_ts: int | None = None


def make_event(
    event: Event | Mapping[str, Any] | None = None,
    user_id: str | None = None,
    event_type: str | None = None,
    occurred_at: str | datetime | None = None,
    payload: Mapping[str, Any] | None = None,
) -> Event:
    """Make an `Event` of whichever form the caller chose: an Event, a dict, or keywords.

    Raises:
        InvalidEventError: It is none of these.
    """
    if isinstance(event, Event):
        return event
    if event is None:
        fields: Mapping[str, Any] = {
            "user_id": user_id,
            "event_type": event_type,
            "occurred_at": occurred_at,
            "payload": payload,
        }
    elif isinstance(event, Mapping):
        fields = event
    else:
        raise InvalidEventError("event", "must be an Event or a dict", event)
    return Event(
        user_id=_required(fields, "user_id"),
        event_type=_required(fields, "event_type"),
        occurred_at=fields.get("occurred_at"),
        payload=fields.get("payload") or {},
    )


def make_identify_event(
    context: Context | Mapping[str, Any] | None = None,
    user_id: str | None = None,
    traits: Mapping[str, Any] | None = None,
) -> Event:
    """Make the ``context_identified`` event of a `Context`, a dict, or keywords.

    Raises:
        InvalidEventError: It is none of these.
    """
    if isinstance(context, Context):
        return Event(context.user_id, IDENTIFY_EVENT_TYPE, payload=context.traits)
    if context is None:
        context = {"user_id": user_id, "traits": traits}
    elif not isinstance(context, Mapping):
        raise InvalidEventError("context", "must be a Context or a dict", context)
    return Event(
        user_id=_required(context, "user_id"),
        event_type=IDENTIFY_EVENT_TYPE,
        payload=context.get("traits") or {},
    )


def encode_event(
    event: Event, *, now: float | None = None, anonymous_id: str | None = None
) -> bytes:
    """Check an event and encode it to the very bytes that will be stored and sent.

    Args:
        event: The event.
        now: Unix time in seconds, for an event that does not say when it occurred. Defaults
            to what the machine's clock shows.
        anonymous_id: The device's, for an event under a public key.

    Raises:
        InvalidEventError: Something in it cannot be sent; `field` says where.
    """
    document = _document(event, now, anonymous_id)
    try:
        _check_keys(event.payload)
        return _encoder.encode(document).encode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        _find_culprit("payload", event.payload, ())
        raise InvalidEventError("payload", str(error), event.payload) from error


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


def _document(event: Event, now: float | None, anonymous_id: str | None) -> dict[str, Any]:
    _check_text("user_id", event.user_id)
    _check_text("event_type", event.event_type)
    _warn_unless_snake_case(event.event_type)
    if not isinstance(event.payload, dict):
        raise InvalidEventError("payload", "must be a dict", event.payload)
    document = {
        "user_id": event.user_id,
        "event_type": event.event_type,
        "occurred_at": _timestamp(event.occurred_at, now),
        "payload": event.payload,
    }
    if anonymous_id is not None:
        document["anonymous_id"] = anonymous_id
    return document


def encode_text(text: str) -> bytes:
    """A text as it is within an encoded event, quotes included."""
    return _encoder.encode(text).encode()


def retimed(data: bytes, now: float) -> bytes:
    """An encoded event with another time of its occurrence, in Unix time; the rest stays."""
    start = data.index(_OCCURRED_AT) + len(_OCCURRED_AT)  # in a text its quotes are escaped
    return data[:start] + _utc_now(now).encode() + data[data.index(b'"', start) :]


_OCCURRED_AT = b'"occurred_at":"'


def _required(fields: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - checked on encoding
    value = fields.get(name)
    if value is None:
        raise InvalidEventError(name, "is required", None)
    return value


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidEventError(name, "must be a non-empty string", value)
    if not _is_unicode(value):
        raise InvalidEventError(name, "has a lone surrogate", value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_warned_names: set[str] = set()
_warned_names_lock = threading.Lock()


def _warn_unless_snake_case(event_type: str) -> None:
    """Warn once a name; the set is bounded, for names that are made of user input."""
    if _SNAKE_CASE.fullmatch(event_type):
        return
    with _warned_names_lock:
        if event_type in _warned_names or len(_warned_names) >= _MAX_WARNED_NAMES:
            return
        _warned_names.add(event_type)
    _log.warning("event_type %r is not snake_case; it is sent as it is", event_type)


def _timestamp(value: object, now: float | None) -> str:
    if value is None:
        return _utc_now(time.time() if now is None else now)
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise InvalidEventError("occurred_at", "must have a time zone", value)
        return value.astimezone(timezone.utc).isoformat()
    if isinstance(value, str):
        return _time_in_utc(value)
    raise InvalidEventError("occurred_at", "must be ISO 8601 text or a datetime", value)


def _utc_now(now: float) -> str:
    return datetime.fromtimestamp(now, timezone.utc).isoformat()


def _is_canonical(text: str) -> bool:
    """Whether the text is what Python itself would write of that time in UTC: the fast path."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is timezone.utc and moment.isoformat() == text


def _time_in_utc(text: str) -> str:
    """A time that was given, in UTC; the two usual ways to write it take no regex."""
    if text[-1:] == "Z":
        written = text[:-1] + "+00:00"
        if _is_canonical(written):
            return written
    return text if _is_canonical(text) else _utc_text(text)


def _utc_text(text: str) -> str:
    """Move ISO 8601 text to UTC; the fraction of a second keeps every digit it came with."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        problem = "must be ISO 8601 with a time zone, e.g. 2026-01-31T12:00:00Z"
        raise InvalidEventError("occurred_at", problem, text)
    zone = match["zone"].upper().replace("Z", "+00:00")
    if ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    try:
        moment = datetime.fromisoformat(f"{match['date']}T{match['time']}{zone}")
        utc = moment.astimezone(timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise InvalidEventError("occurred_at", f"is no such time ({error})", text) from None
    fraction = (match["fraction"] or "").replace(",", ".")
    return f"{utc.isoformat()}{fraction}+00:00"


def _json_value(value: object) -> object:
    """What to send for a value that JSON has no form of; called by the encoder."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return _number(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _number(value: Decimal) -> int | float:
    """The number that a JSON reader would make of the decimal's digits."""
    if not value.is_finite():
        raise ValueError("not a finite number")
    is_exact_integer = value == value.to_integral_value()
    if is_exact_integer and value.adjusted() < _MAX_EXACT_INTEGER_DIGITS:
        return int(value)
    return float(value)


_encoder = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_json_value
)


def _check_keys(value: object) -> None:
    """Refuse keys that the encoder would turn into strings in silence: 1, None, True."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError("keys must be strings")
            if isinstance(item, dict | list | tuple):
                _check_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, dict | list | tuple):
                _check_keys(item)


def _find_culprit(path: str, value: object, parents: tuple[int, ...]) -> None:
    """Raise for the first thing in `value` that cannot be sent; slow, for bad events only."""
    if id(value) in parents:
        raise InvalidEventError(path, "refers back to itself", type(value).__name__)
    if len(parents) > _MAX_DEPTH:
        raise InvalidEventError(path, f"is nested deeper than {_MAX_DEPTH}", type(value).__name__)
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidEventError(path, "keys must be strings", key)
            if not _is_unicode(key):
                raise InvalidEventError(path, "a key has a lone surrogate", key)
            _find_culprit(f"{path}.{key}", item, (*parents, id(value)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _find_culprit(f"{path}[{index}]", item, (*parents, id(value)))
    else:
        _check_scalar(path, value)


_MAX_DEPTH = 100


def _check_scalar(path: str, value: object) -> None:
    if isinstance(value, str) and not _is_unicode(value):
        raise InvalidEventError(path, "has a lone surrogate", value)
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidEventError(path, "must be a finite number", value)
    try:
        _encoder.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidEventError(path, f"cannot be sent ({error})", value) from None
