"""Which events the sandbox takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from segops_durable.sandbox.checks import BadFieldError

MAX_BATCH = 500
_LONGEST_USER_ID = 255

Required = Mapping[str, Sequence[str]]


def read_json(body: bytes) -> dict[str, Any]:
    """Read a request's body, which has to be a JSON object.

    Raises:
        BadFieldError: It is not.
    """
    try:
        document = json.loads(body, parse_constant=_refuse)  # NaN is Python's, and no JSON
        if b"\\u" in body or b"\0" in body or not body.isascii():
            # half of a surrogate pair can be written so, in one encoding or another, and not kept
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


def problems_of(
    event_type: str, payload: dict[str, Any], required: Required
) -> dict[str, list[str]]:
    """What of an event does not fit the schema of its type, by field; empty where all does."""
    missing = [name for name in required.get(event_type, ()) if name not in payload]
    return {f"payload.{name}": ["This field is required."] for name in missing}


def check_event(event: object, required: Required) -> dict[str, Any]:
    """Check one event.

    Args:
        event: The event.
        required: What payloads have to have, by event type.

    Raises:
        BadFieldError: It fails validation.
    """
    if not isinstance(event, dict):
        raise BadFieldError("detail", "an event must be a JSON object")
    user_id = _text(event, "user_id")
    if len(user_id) > _LONGEST_USER_ID or any(c.isspace() or not c.isprintable() for c in user_id):
        raise BadFieldError("user_id", "Malformed user_id.")
    event_type = _text(event, "event_type")
    if event.get("occurred_at") is not None:
        _check_time(event["occurred_at"])
    _check_payload(event_type, event.get("payload"), required)
    return event


def validated(document: dict[str, Any], required: Required) -> dict[str, list[str]]:
    """What of an event that is only to be looked at does not fit.

    Raises:
        BadFieldError: It is not asked for as it has to be.
    """
    event_type, payload = _text(document, "event_type"), document.get("payload")
    if not isinstance(payload, dict):
        raise BadFieldError("payload", "This field is required and must be an object.")
    return problems_of(event_type, payload, required)


def _check_payload(event_type: str, payload: object, required: Required) -> None:
    known = payload or {}
    if not isinstance(known, dict):
        raise BadFieldError("payload", "Must be an object.")
    for field, problems in problems_of(event_type, known, required).items():
        raise BadFieldError(field, problems[0])


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
