"""Which events the sandbox takes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NoReturn

from segops_durable.sandbox.checks import BadFieldError

MAX_BATCH = 500
_LONGEST_USER_ID = 255


def read_json(body: bytes) -> dict[str, Any]:
    """Read a request's body, which has to be a JSON object.

    Raises:
        BadFieldError: It is not.
    """
    try:
        document = json.loads(body, parse_constant=_refuse)  # NaN is Python's, and no JSON
        if b"\\u" in body:  # half of a surrogate pair can be written so, and not be kept
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise BadFieldError("detail", "JSON parse error") from None
    if not isinstance(document, dict):
        raise BadFieldError("detail", "the body must be a JSON object")
    return document


def read_batch(body: bytes) -> list[object]:
    """Read the events of a batch, 1 to 500 of them.

    Raises:
        BadFieldError: The body is no such batch; it is refused as a whole.
    """
    events = read_json(body).get("events")
    if not isinstance(events, list):
        raise BadFieldError("events", "This field is required and must be a list.")
    if not 1 <= len(events) <= MAX_BATCH:
        raise BadFieldError("events", f"A batch holds 1 to {MAX_BATCH} events, got {len(events)}.")
    return events


def check_event(event: object) -> dict[str, Any]:
    """Check one event.

    Raises:
        BadFieldError: It fails validation.
    """
    if not isinstance(event, dict):
        raise BadFieldError("detail", "an event must be a JSON object")
    user_id = _text(event, "user_id")
    if len(user_id) > _LONGEST_USER_ID or any(c.isspace() or not c.isprintable() for c in user_id):
        raise BadFieldError("user_id", "Malformed user_id.")
    _text(event, "event_type")
    if event.get("occurred_at") is not None:
        _check_time(event["occurred_at"])
    if not isinstance(event.get("payload") or {}, dict):
        raise BadFieldError("payload", "Must be an object.")
    return event


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _text(event: dict[str, Any], name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not value:
        raise BadFieldError(name, "This field is required and must be a string.")
    return value


def _check_time(value: object) -> None:
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        raise BadFieldError("occurred_at", "Must be ISO 8601.") from None
    if moment.utcoffset() is None:
        raise BadFieldError("occurred_at", "Must have a time zone.")
