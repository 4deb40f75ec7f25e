"""Events: what they are, and what they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - of the fields of public classes
from typing import Any
from uuid import UUID  # noqa: TC003 - likewise

from segops_durable.errors import InvalidEventError
from segops_durable.events.payloads import plain_object, words_of

NORMAL = "normal"
PRIORITIES: tuple[str, ...] = ("high", NORMAL, "low")
"""Which of the waiting events are sent first, in that order."""

IDENTIFY_EVENT_TYPE = "context_identified"
"""The event type that `identify` stands for (public SegOps documentation)."""


@dataclass
class Event:
    """One user event.

    Attributes:
        user_id: Your identifier for the user: an email address, a UUID, …; an integer, or a
            `uuid.UUID`, is sent as its text.
        event_type: A snake_case name, e.g. ``page_viewed``.
        occurred_at: ISO 8601 text with a zone, or an aware datetime. Defaults to now.
        payload: Any properties that JSON can carry; also datetime, date, UUID, Decimal
            (sent as a number) and Enum (sent as its value). Defaults to none.
        anonymous_id: A visitor's id, which SegOps links to the user. Under a public key it can
            only be the device's own. Defaults to that, and under a secret key to none.
        priority: ``high`` events leave before ``normal`` ones, and those before ``low`` ones. It
            is of the client alone, and not sent. Defaults to ``normal``.
    """

    user_id: str | int | UUID
    event_type: str
    occurred_at: str | datetime | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    anonymous_id: str | int | UUID | None = None
    priority: str = NORMAL


@dataclass
class Context:
    """What is known of a user; sent as a ``context_identified`` event.

    Attributes:
        user_id: Your identifier for the user.
        traits: Properties of the user, as for `Event.payload`. Defaults to none.
        anonymous_id: As for `Event`.
        priority: As for `Event`.
    """

    user_id: str | int | UUID
    traits: dict[str, Any] = field(default_factory=dict)
    anonymous_id: str | int | UUID | None = None
    priority: str = NORMAL


def make_event(
    event: Event | Mapping[str, Any] | None = None,
    *,
    user_id: str | int | UUID | None = None,
    event_type: str | None = None,
    occurred_at: str | datetime | None = None,
    payload: Mapping[str, Any] | None = None,
    anonymous_id: str | int | UUID | None = None,
    priority: str | None = None,
) -> Event:
    """Make an `Event` of whichever form the caller chose: an Event, a dict, or keywords.

    Raises:
        InvalidEventError: It is none of these.
    """
    if isinstance(event, Event):
        return event
    if event is not None:
        names = ("user_id", "event_type", "occurred_at", "payload", "anonymous_id", "priority")
        found = _read("event", event, names)
        user_id, event_type, occurred_at, payload, anonymous_id, priority = found
    return Event(
        user_id=_required("user_id", user_id),
        event_type=_required("event_type", event_type),
        occurred_at=occurred_at,
        payload=plain_object("payload", payload),
        anonymous_id=anonymous_id,
        priority=checked_priority(priority),
    )


def make_identify_event(
    context: Context | Mapping[str, Any] | None = None,
    user_id: str | int | UUID | None = None,
    traits: Mapping[str, Any] | None = None,
    anonymous_id: str | int | UUID | None = None,
    priority: str | None = None,
) -> Event:
    """Make the ``context_identified`` event of a `Context`, a dict, or keywords.

    Raises:
        InvalidEventError: It is none of these.
    """
    if isinstance(context, Context):
        user_id, traits = context.user_id, context.traits
        anonymous_id, priority = context.anonymous_id, context.priority
    elif context is not None:
        names = ("user_id", "traits", "anonymous_id", "priority")
        user_id, traits, anonymous_id, priority = _read("context", context, names)
    return Event(
        user_id=_required("user_id", user_id),
        event_type=IDENTIFY_EVENT_TYPE,
        payload=plain_object("traits", traits),
        anonymous_id=anonymous_id,
        priority=checked_priority(priority),
    )


def priority_of_event(event: Event | Mapping[str, Any]) -> str:
    """Which priority an event has, in whichever form the caller chose.

    Raises:
        InvalidEventError: It is none.
    """
    try:
        given = event.priority if isinstance(event, Event) else event.get("priority")
    except Exception as error:
        raise InvalidEventError("event", f"cannot be read ({words_of(error)})", event) from error
    return checked_priority(given)


def checked_priority(value: object) -> str:
    """A priority that was given; ``normal`` where none was.

    Raises:
        InvalidEventError: It is none.
    """
    if value is None or (type(value) is str and value == NORMAL):
        return NORMAL
    if type(value) is not str or value not in PRIORITIES:
        raise InvalidEventError("priority", 'must be "high", "normal" or "low"', value)
    return value


def _read(what: str, fields: object, names: tuple[str, ...]) -> tuple[Any, ...]:
    """Read the fields of a mapping that a caller made an event of."""
    try:
        if isinstance(fields, Mapping):
            return tuple(fields.get(name) for name in names)
    except Exception as error:
        raise InvalidEventError(what, f"cannot be read ({words_of(error)})", fields) from error
    raise InvalidEventError(what, f"must be {_FORMS[what]} or a dict", fields)


_FORMS = {"event": "an Event", "context": "a Context"}


def _required(name: str, value: Any) -> Any:  # noqa: ANN401 - checked on encoding
    if value is None:
        raise InvalidEventError(name, "is required", None)
    return value
