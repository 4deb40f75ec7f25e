"""Events as a test looks at them: in the order they came, of some type or user, waited for."""

from __future__ import annotations

import difflib
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from segops_durable.errors import ConfigurationError
from segops_durable.errors.plain_text import shown, visible
from segops_durable.events import Event, encode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOOK_SECONDS = 0.01
_MOST_SHOWN = 20
_LONGEST = 200


class Events(Sequence[dict[str, Any]]):  # noqa: PLW1641 - it changes as events come
    """Events so far, oldest first: looked up anew whenever it is asked.

    Each is a dict with ``user_id``, ``event_type``, ``occurred_at`` and whatever else SegOps was
    sent of it: ``payload``, ``anonymous_id``. Under a public key ``user_id`` is whom SegOps
    attributes the event to.

    It equals a sequence of as many dicts, or `Event` objects, if each event has the fields that
    are named there; a time that nobody names is not compared. What differs is shown line by line.

    Args:
        read: Gives all events so far.
        what: What they are, in an error. Defaults to events that were accepted.
        known: Says more for an error. Defaults to nothing.
    """

    def __init__(
        self,
        read: Callable[[], Sequence[dict[str, Any]]],
        what: str = "events that were accepted",
        known: Callable[[], str] = str,
    ) -> None:
        self._read = read
        self._what = what
        self._known = known

    def wait_for(self, count: int, timeout: float = 10.0) -> list[dict[str, Any]]:
        """Wait until there are so many; return all that there are.

        It waits on the calling thread: in a coroutine,
        ``await asyncio.to_thread(segops_events.wait_for, 2)``.

        Args:
            count: How many, at least.
            timeout: Seconds to wait at most. Defaults to 10.

        Raises:
            AssertionError: There were fewer; it says which, and what came besides.
            ConfigurationError: `count` is no whole number, or `timeout` no number of seconds.
        """
        __tracebackhide__ = True
        for name, kind, value in (("count", int, count), ("timeout", (int, float), timeout)):
            if not isinstance(value, kind):
                raise ConfigurationError(f"{name} must be a number, got {shown(value)}", field=name)
        deadline = time.monotonic() + timeout
        pause = threading.Event()
        while len(found := list(self)) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(self._too_few(found, count, timeout))
            pause.wait(min(left, _LOOK_SECONDS))
        return found

    def by_type(self, event_type: str) -> Events:
        """Those of one type.

        Args:
            event_type: The type.
        """
        return self._some("event_type", event_type)

    def by_user(self, user_id: str) -> Events:
        """Those of one user; under a public key those that SegOps attributes to them.

        Args:
            user_id: The user's id, as SegOps has it: a text.
        """
        return self._some("user_id", user_id)

    @property
    def payloads(self) -> list[dict[str, Any]]:
        """The payload of each; an event without one has an empty one."""
        return [event.get("payload") or {} for event in self]

    def differences(self, expected: object) -> list[str]:
        """How the events differ from those of an expected sequence, in lines; none if they equal.

        Args:
            expected: Dicts, or `Event` objects. Of another value that is said.
        """
        found = list(self)
        wanted = _as_fields(expected)
        if wanted is None:
            return [f"{len(found)} {self._what}, and {expected!r}, which is no sequence of events"]
        if _are_equal(found, wanted):
            return []
        named = {name for each in wanted for name in each} or {"user_id", "event_type", "payload"}
        lines = difflib.ndiff(
            [_text({name: each[name] for name in named if name in each}) for each in wanted],
            [_text({name: each[name] for name in named if name in each}) for each in found],
        )
        return [
            f"{len(found)} {self._what}, {len(wanted)} were expected (-: expected, +: came)",
            *(line.rstrip("\n") for line in lines),
        ]

    def _some(self, field: str, value: str) -> Events:
        def read() -> list[dict[str, Any]]:
            return [event for event in self if event.get(field) == value]

        return Events(read, f"{self._what}, with the {field} {value!r}", self._others)

    def _others(self) -> str:
        """What there is besides, for who looks at some of them."""
        types = Counter(str(event.get("event_type")) for event in self)
        counts = ", ".join(f"{visible(name)} ({count})" for name, count in types.items())
        return f"of all {self._what}: {counts or 'none'}\n{self._known()}".rstrip()

    def _too_few(self, found: list[dict[str, Any]], count: int, timeout: float) -> str:
        shown = [f"  {_short(_text(event))}" for event in found[:_MOST_SHOWN]]
        if len(found) > _MOST_SHOWN:
            shown.append(f"  and {len(found) - _MOST_SHOWN} more")
        head = f"{len(found)} {self._what} in {timeout:g} s, {count} were waited for"
        return "\n".join([head, *shown, self._known()]).rstrip()

    # As a sequence

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return list(self)[index]

    def __len__(self) -> int:
        return len(self._read())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._read())

    def __eq__(self, other: object) -> bool:
        wanted = _as_fields(other)
        return wanted is not None and _are_equal(list(self), wanted)

    def __repr__(self) -> str:
        return f"<{len(self)} {self._what}>"


def _as_fields(expected: object) -> list[dict[str, Any]] | None:
    """The fields that are expected of each event; None where these are no events."""
    if isinstance(expected, str | bytes) or not isinstance(expected, Sequence):
        return None
    found: list[dict[str, Any]] = []
    for each in expected:
        if isinstance(each, Event):
            found.append(_of_event(each))
        elif isinstance(each, Mapping):
            found.append(dict(each))
        else:
            return None
    return found


def _of_event(event: Event) -> dict[str, Any]:
    """What an event says itself, as it is sent."""
    said: dict[str, Any] = json.loads(encode_event(event))
    unsaid = {"occurred_at": event.occurred_at is None, "payload": not event.payload}
    return {name: value for name, value in said.items() if not unsaid.get(name)}


def _are_equal(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> bool:
    return len(found) == len(wanted) and all(
        name in event and event[name] == value
        for event, fields in zip(found, wanted, strict=True)
        for name, value in fields.items()
    )


def _text(event: Mapping[str, Any]) -> str:
    """An event in a line that can be compared with another."""
    return visible(json.dumps(event, ensure_ascii=False, sort_keys=True, default=repr))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
