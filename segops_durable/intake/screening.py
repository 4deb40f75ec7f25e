"""What an application does to its events before they reach the disk: `before_store`."""

from __future__ import annotations

from itertools import count
from threading import get_ident
from typing import TYPE_CHECKING, Any

from segops_durable.errors import InvalidEventError
from segops_durable.events import Event, make_event, words_of

if TYPE_CHECKING:
    from collections.abc import Callable

_DEEPEST = 100  # what is deeper cannot be sent, which is said where it is encoded


class Screening:
    """Hands each event to the application, which may change it or drop it.

    Args:
        before_store: What is called with it, on the caller's thread; None for nobody.
    """

    def __init__(self, before_store: Callable[[Event], Event | None] | None) -> None:
        self._before_store = before_store
        self._ticks = count(1)
        # by thread, without a lock: a signal handler that tracks, in the middle of a count, would
        # wait for the thread that it has interrupted
        self._latest: dict[int, int] = {}

    @property
    def is_on(self) -> bool:
        """Whether anybody looks at events."""
        return self._before_store is not None

    @property
    def dropped(self) -> int:
        """How many events were dropped."""
        return max(tuple(self._latest.values()), default=0)

    def passed(self, event: Event) -> Event | None:
        """The event as it is to be stored; None if it is not.

        Raises:
            InvalidEventError: `before_store` raised, or gave something else.
        """
        if self._before_store is None:
            return event
        mine = copy_of(event)
        try:
            found: object = self._before_store(mine)
        except InvalidEventError:
            raise
        except Exception as error:
            # what it raised may quote the event, but the event itself is shown to nobody
            problem = f"before_store raised {type(error).__name__}: {words_of(error)}"
            raise InvalidEventError("event", problem, type(event).__name__) from error
        if found is None:
            self._latest[get_ident()] = next(self._ticks)
            return None
        if isinstance(found, Event):
            return found
        if isinstance(found, dict):
            return make_event(found)
        problem = "before_store must return an Event, a dict or None"
        raise InvalidEventError("event", problem, type(found).__name__)


def copy_of(event: Event) -> Event:
    """An event that may be changed: the caller goes on with the one that it has.

    Raises:
        InvalidEventError: It cannot be read.
    """
    try:
        payload: Any = _containers(event.payload, 0)
        return Event(
            event.user_id,
            event.event_type,
            event.occurred_at,
            payload,
            event.anonymous_id,
            event.priority,
        )
    except Exception as error:
        problem = f"cannot be read ({words_of(error)})"
        raise InvalidEventError("event", problem, type(event).__name__) from error


def _containers(value: object, depth: int) -> object:
    """A copy of dicts and lists, with the values that they have."""
    if depth > _DEEPEST:
        return value
    if isinstance(value, dict):
        return {name: _containers(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_containers(item, depth + 1) for item in value]
    return value
