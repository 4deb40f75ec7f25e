"""The way of an event into the outbox: whose and when, encoded, checked, appended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from segops_durable.clock import Moment
from segops_durable.delivery import users_of
from segops_durable.errors import IdentityError, InvalidEventError, QueueFullError
from segops_durable.events import encode_event, encode_parsed
from segops_durable.identity import NO_IDENTITY, WHOEVER
from segops_durable.users import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segops_durable.clock import Clock
    from segops_durable.delivery import Delivery
    from segops_durable.events import Event
    from segops_durable.options import Options
    from segops_durable.outbox import Checkpoint, Outbox


class Intake:
    """Stores events as the options say.

    Args:
        outbox: Where to.
        options: `max_event_bytes`, `overflow`, `overflow_timeout` and `get_user` count here.
        clock: When events occur that do not say it.
    """

    def __init__(self, outbox: Outbox, options: Options, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock
        self._users = users_of(options, outbox)
        self._is_failure_told = False
        self._largest = options.max_event_bytes
        self._blocks = options.overflow == "block"
        self._patience = options.overflow_timeout

    def store(
        self, events: Sequence[Event], delivery: Delivery, checkpoint: Checkpoint | None = None
    ) -> None:
        """Store events, all of them or none; they are durable when this returns.

        Args:
            events: The events.
            delivery: Hears of them; and makes room, where the outbox is full and `overflow`
                says to block.
            checkpoint: How far the job has come that they are from; stored with them.

        Raises:
            InvalidEventError: One cannot be sent, or is too large.
            QueueFullError: There is no room.
            StorageError: They could not be stored, or it is unknown whether they were.
            ClosedError: The outbox is closed.
        """
        person = self.person(delivery)
        anonymous_id = None if person is None else person.anonymous_id
        encoded: list[bytes] = []
        moments: list[Moment] = []
        for event in events:
            now = self._clock.moment()
            encoded.append(self.encode(event, now.wall, anonymous_id))
            moments.append(now if event.occurred_at is None else Moment(now.wall))
        self.append(encoded, moments, person, checkpoint, delivery)

    def append(
        self,
        encoded: Sequence[bytes],
        moments: Sequence[Moment],
        person: Person | None,
        checkpoint: Checkpoint | None,
        delivery: Delivery,
    ) -> None:
        """Store events that are encoded already, for a person; otherwise as `store`."""
        identity = NO_IDENTITY if person is None else person.identity
        deadline = time.monotonic() + self._patience
        while not self._try_append(encoded, identity, moments, checkpoint, deadline):
            delivery.flusher.make_room(deadline - time.monotonic())
        delivery.flusher.notice(len(encoded))

    def person(self, delivery: Delivery) -> Person | None:
        """Whose events are tracked now; None under a secret key.

        Asked when they are tracked, not when they are sent.
        """
        if self._users is None:
            return None
        try:
            person = self._users.current()
        except IdentityError as error:
            if not self._is_failure_told:  # once, until it is well again
                self._is_failure_told = True
                error.hint = "The event is stored, and sent as whoever is current then"
                delivery.report.postpone(error)
            return Person(WHOEVER, self._users.anonymous_id())
        self._is_failure_told = False
        return person

    def encode(
        self,
        event: Event,
        now: float,
        anonymous_id: str | None,
        write_json: Callable[[Any], bytes] | None = None,
    ) -> bytes:
        """Encode an event; one whose payload was just read from JSON may be written faster.

        Raises:
            InvalidEventError: It cannot be sent, or is too large.
        """
        if write_json is None:
            encoded = encode_event(event, now=now, anonymous_id=anonymous_id)
        else:
            encoded = encode_parsed(event, write_json, now=now, anonymous_id=anonymous_id)
        if len(encoded) > self._largest:
            problem = f"must have at most {self._largest} bytes when encoded"
            raise InvalidEventError("event", problem, len(encoded), hint="See max_event_bytes")
        return encoded

    def _try_append(
        self,
        encoded: Sequence[bytes],
        identity: str,
        moments: Sequence[Moment],
        checkpoint: Checkpoint | None,
        deadline: float,
    ) -> bool:
        try:
            self._outbox.append(encoded, identity, moments, checkpoint)
        except QueueFullError:
            if self._blocks and time.monotonic() < deadline:
                return False
            raise
        return True
