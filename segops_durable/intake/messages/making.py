"""Events of messages: many at once as a rule, and one by one where there is a bad one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.errors import InvalidEventError
from segops_durable.events import NORMAL, Event, make_event, words_of
from segops_durable.intake.encoded import as_given
from segops_durable.intake.messages.columns import added, check_columns, record_of, time_of
from segops_durable.intake.messages.message import Bad
from segops_durable.intake.sources.json_objects import read_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segops_durable.intake.intake import Intake
    from segops_durable.intake.mapping.field_map import FieldMap
    from segops_durable.intake.messages.message import Message
    from segops_durable.system.clock import Moment

    _Found = list[Event] | None | Bad


class Made(NamedTuple):
    """What was made of messages.

    Attributes:
        encoded: The events.
        moments: When each was read.
        bad: The messages that are none.
        dropped: Events that were dropped, and messages of which none was wanted.
        tombstones: Messages without a value, which are passed over.
        priorities: Which events go first; empty where all are as any.
    """

    encoded: list[bytes]
    moments: list[Moment]
    bad: list[Bad]
    dropped: int
    tombstones: int
    priorities: list[str]


class Maker:
    """Makes events of messages.

    Args:
        intake: What encodes them, and shows them to the application's `before_store`.
        field_map: Which entry of a value, or column of a message, is what.
        to_event: Makes them instead, of what the library has given: an event, several, or None.

    Attributes:
        mapping: What tells this way of making events from others.
    """

    def __init__(
        self, intake: Intake, field_map: FieldMap, to_event: Callable[[Any], Any] | None
    ) -> None:
        self._intake = intake
        self._field_map = field_map
        self._columns = check_columns(field_map)
        self._to_event = to_event
        self._tally: Counter[str] = Counter()
        name = getattr(to_event, "__qualname__", type(to_event).__qualname__)
        self.mapping: str = field_map.fingerprint() if to_event is None else f"to_event: {name}"

    def make(self, messages: Sequence[Message]) -> Made:
        """Make the events of messages, in their order."""
        found = [self._given(each) for each in messages] if self._to_event else self._read(messages)
        bad = [each for each in found if isinstance(each, Bad)]
        tombstones = 0 if self._to_event else found.count(None)
        nothing = found.count(None) if self._to_event else 0
        events = [each for each in found if isinstance(each, list)]
        now = self._intake.moment()
        if not self._intake.is_screened:
            try:
                encoded, moments, given = self._intake.encoded([*_flat(events)], now, None)
            except (ValueError, TypeError, RecursionError):
                pass  # one by one it is told which of them, and why
            else:
                return Made(encoded, moments, bad, nothing, tombstones, given or [])
        made = Made([], [], [], nothing, tombstones, [])
        for message, each in zip(messages, found, strict=True):
            made = self._add(made, message, each, now)
        return made._replace(priorities=as_given(made.priorities) or [])

    def record(self, message: Message) -> dict[str, Any] | None:
        """A message as the record that its event was to be made of; None where it is none."""
        if self._to_event is not None:
            return None
        try:
            record, _ = record_of(message, self._columns)
        except (ValueError, RecursionError):
            return None
        names = self._field_map
        column = names.columns.get("occurred_at", "occurred_at")
        if column == "occurred_at" and "occurred_at" not in names.constants:
            record["occurred_at"] = record.get("occurred_at") or time_of(message)
        return record

    def _read(self, messages: Sequence[Message]) -> list[_Found]:
        """The events of values that are JSON; None of tombstones."""
        records = read_objects([each.value or b"" for each in messages])
        return [
            None if message.value is None else self._mapped(message, record)
            for message, record in zip(messages, records, strict=True)
        ]

    def _mapped(self, message: Message, record: dict[str, Any] | None) -> _Found:
        try:
            is_json = True
            if record is None:  # it takes a closer look
                record, is_json = record_of(message, self._columns)
            elif self._columns:
                record = added(record, message, self._columns)
            event = self._field_map.event_of(record, is_json=is_json, tally=self._tally)
        except (ValueError, TypeError, RecursionError) as error:
            return Bad(message, str(error))
        if event.occurred_at is None:
            event.occurred_at = time_of(message)
        return [event]

    def _given(self, message: Message) -> _Found:
        """The events that the application makes of a message; None where it wants none."""
        try:
            found: Any = self._to_event(message.given)  # type: ignore[misc]  # it is there
        except InvalidEventError as error:
            return Bad(message, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it raises is about this message
            return Bad(message, f"to_event raised {type(error).__name__}: {words_of(error)}")
        if found is None:
            return None
        several = found if isinstance(found, list | tuple) else [found]
        try:
            events = [make_event(each) for each in several]
        except InvalidEventError as error:
            return Bad(message, str(error))
        time = time_of(message)
        return [
            each if each.occurred_at is not None else replace(each, occurred_at=time)
            for each in events
        ]

    def _add(self, made: Made, message: Message, found: _Found, now: Moment) -> Made:
        """Add what was made of one message: all of its events, or none."""
        if isinstance(found, Bad):
            made.bad.append(found)
            return made
        if found is None:
            return made
        try:
            screened = [self._intake.screened(each) for each in found]
            kept = [each for each in screened if each is not None]
            encoded, moments, priorities = self._intake.encoded(kept, now, None)
        except (ValueError, TypeError, RecursionError) as error:
            made.bad.append(Bad(message, str(error)))
            return made
        made.encoded.extend(encoded)
        made.moments.extend(moments)
        made.priorities.extend(priorities or [NORMAL] * len(encoded))
        return made._replace(dropped=made.dropped + len(found) - len(kept))


def _flat(groups: Sequence[list[Event]]) -> list[Event]:
    return [event for group in groups for event in group]
