"""The way of an event into the outbox: whose and when, encoded, checked, appended."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from segops_durable.errors import IdentityError, QueueFullError
from segops_durable.events import (
    Event,
    encode_event,
    encode_many,
    make_event,
    priority_of_event,
)
from segops_durable.identity import NO_IDENTITY, WHOEVER, Person
from segops_durable.intake.encoded import Encoded, as_given, too_large
from segops_durable.intake.screening import Screening
from segops_durable.system.clock import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from segops_durable.errors import SegOpsError
    from segops_durable.identity import Users
    from segops_durable.intake.listener import Listener
    from segops_durable.outbox import Checkpoint, Entry, Outbox
    from segops_durable.system.clock import Clock

_MANY = 4
"""From so many events on it pays to look for what they have in common."""


class Intake:
    """Stores events; `Options` has the meaning of what is not said here.

    Args:
        outbox: Where to.
        clock: When events occur that do not say it.
        users: Who is using the device; None under a secret key.
        before_store: What an application does to each event.
        max_event_bytes: Bytes of an encoded event at most.
        patience: Seconds to wait for room in a full outbox; 0 to raise at once.

    Attributes:
        largest: Bytes of an encoded event at most.
        is_screened: Whether `before_store` sees the events, and may put anything in them.
        before_append: Called with encoded events before they are stored, with the context
            variables of whoever tracks them; it must not raise. Defaults to nobody.
    """

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        *,
        users: Users | None,
        before_store: Callable[[Event], Event | None] | None,
        max_event_bytes: int,
        patience: float,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._users = users
        self._screening = Screening(before_store)
        self.is_screened: bool = self._screening.is_on
        self._is_failure_told = False
        self.largest = max_event_bytes
        self.before_append: Callable[[Sequence[bytes]], object] | None = None
        self._patience = patience

    def store(
        self,
        events: Sequence[Event | dict[str, Any]],
        listener: Listener,
        checkpoint: Checkpoint | None = None,
    ) -> int:
        """Store events, all of them or none; they are durable when this returns.

        Args:
            events: The events, or dicts of their fields.
            listener: Hears of them; and makes room, where the outbox is full.
            checkpoint: How far the job has come that they are from; stored with them.

        Returns:
            How many were stored; what `before_store` drops is not.

        Raises:
            InvalidEventError: One cannot be sent, or is too large.
            QueueFullError: There is no room.
            StorageError: They could not be stored, or it is unknown whether they were.
            ClosedError: The outbox is closed.
        """
        person = None if self._users is None else self.person(listener)
        anonymous_id = None if person is None else person.anonymous_id
        found = self.encoded(self.kept(events), self.moment(), anonymous_id)
        if found.encoded or checkpoint is not None:
            self.append(found, person, checkpoint, listener)
        return len(found.encoded)

    def moment(self) -> Moment:
        """Now, for events that do not say when they occurred."""
        return self._clock.moment()

    def encoded(
        self, events: Iterable[Event | dict[str, Any]], now: Moment, anonymous_id: str | None
    ) -> Encoded:
        """The bytes of events, when each was tracked, and which go first.

        Args:
            events: Those that are kept.
            now: When they were tracked.
            anonymous_id: The device's, under a public key.

        Raises:
            InvalidEventError: One cannot be sent, or is too large.
        """
        wall, own = now.wall, now
        if isinstance(events, list) and len(events) >= _MANY:
            many = encode_many(events, wall, anonymous_id, self.largest)
            if many is not None:
                own = Moment(wall)
                moments = [own if is_timed else now for is_timed in many.are_timed]
                return Encoded(many.encoded, moments, as_given(map(priority_of_event, events)))
        encoded: list[bytes] = []
        moments = []
        priorities: list[str] = []
        for event in events:
            data = encode_event(event, wall, anonymous_id)
            if len(data) > self.largest:
                raise too_large(self.largest, len(data))
            encoded.append(data)
            time_of_it = event.get("occurred_at") if isinstance(event, dict) else event.occurred_at
            if time_of_it is not None and own is now:
                own = Moment(wall)
            moments.append(now if time_of_it is None else own)
            priorities.append(priority_of_event(event))
        return Encoded(encoded, moments, as_given(priorities))

    @property
    def screened_out(self) -> int:
        """How many events `before_store` has dropped."""
        return self._screening.dropped

    def screened(self, event: Event) -> Event | None:
        """The event as `before_store` would have it stored; None if it is dropped.

        Raises:
            InvalidEventError: It raised, or gave something else.
        """
        return self._screening.passed(event)

    def kept(self, events: Iterable[Event | dict[str, Any]]) -> Iterable[Event | dict[str, Any]]:
        """Those that `before_store` keeps, as it would have them; all, where there is none.

        Raises:
            InvalidEventError: It raised, or gave something else.
        """
        return self._kept(events) if self.is_screened else events

    def _kept(self, events: Iterable[Event | dict[str, Any]]) -> Iterator[Event]:
        for given in events:
            event = self.screened(make_event(given))
            if event is not None:
                yield event

    def append(
        self,
        events: Encoded,
        person: Person | None,
        checkpoint: Checkpoint | None,
        listener: Listener,
    ) -> None:
        """Store events that are encoded already, for a person; otherwise as `store`."""
        identity = NO_IDENTITY if person is None else person.identity
        encoded, moments, priorities = events
        if self.before_append is not None:
            self.before_append(encoded)
        append = self._outbox.commit.append
        try:
            append(encoded, identity, moments, checkpoint, priorities)
        except QueueFullError:
            if not self._patience:
                raise
            again = partial(append, encoded, identity, moments, checkpoint, priorities)
            self._append_patiently(again, listener)
        listener.notice(len(encoded))

    def append_together(
        self, entries: Sequence[Entry], listener: Listener, *, is_brief: bool = False
    ) -> list[SegOpsError | None]:
        """Store what several calls were given, in one transaction; say how each fared.

        Nobody waits here for room in a full outbox; and with `is_brief` only a moment for whoever
        has it locked.

        Raises:
            BusyOutboxError: None of it was stored: another process or thread has it locked.
            StorageError: None of it could be stored, or it is unknown whether it was.
            ClosedError: The outbox is closed.
        """
        errors = self._outbox.commit.append_together(entries, is_brief=is_brief)
        fared = zip(entries, errors, strict=True)
        listener.notice(sum(len(each.events) for each, error in fared if error is None))
        return errors

    def person(self, listener: Listener) -> Person | None:
        """Whose events are tracked now; None under a secret key.

        Asked when they are tracked, not when they are sent.
        """
        find = self.whose(listener)
        return None if find is None else find()

    def whose(self, listener: Listener) -> Callable[[], Person] | None:
        """Ask the application who that is, and give what finds out the rest, which is on the disk.

        The application is asked where the event is tracked, the disk wherever it may be waited for.
        """
        users = self._users
        if users is None:
            return None
        try:
            context = users.asked()
        except IdentityError as error:
            if not self._is_failure_told:  # once, until it is well again
                self._is_failure_told = True
                error.hint = "The event is stored, and sent as whoever is current then"
                listener.postpone(error)
            return lambda: Person(WHOEVER, users.anonymous_id())
        self._is_failure_told = False
        return partial(users.person_of, context)

    def _append_patiently(self, append: Callable[[], None], listener: Listener) -> None:
        """Append to an outbox that was just full, once there is room."""
        deadline = time.monotonic() + self._patience
        while True:
            if not listener.make_room(deadline - time.monotonic()):
                deadline = 0.0
            try:
                append()
            except QueueFullError:
                if time.monotonic() >= deadline:
                    raise
            else:
                return
