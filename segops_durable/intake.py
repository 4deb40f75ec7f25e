"""The way of an event into the outbox: encoded, checked for its size, appended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from segops_durable.errors import InvalidEventError, QueueFullError
from segops_durable.events import encode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segops_durable.events import Event
    from segops_durable.options import Options
    from segops_durable.outbox import Outbox


class Intake:
    """Stores events as the options say.

    Args:
        outbox: Where to.
        options: `max_event_bytes`, `overflow` and `overflow_timeout` count here.
    """

    def __init__(self, outbox: Outbox, options: Options) -> None:
        self._outbox = outbox
        self._largest = options.max_event_bytes
        self._blocks = options.overflow == "block"
        self._patience = options.overflow_timeout

    def store(
        self, events: Sequence[Event], identity: str, make_room: Callable[[float], None]
    ) -> None:
        """Store events, all of them or none; they are durable when this returns.

        Args:
            events: The events.
            identity: Whose they are.
            make_room: Called with the seconds left, where the outbox is full and `overflow`
                says to block; it returns when something may have changed.

        Raises:
            InvalidEventError: One cannot be sent, or is too large.
            QueueFullError: There is no room.
            StorageError: They could not be stored, or it is unknown whether they were.
            ClosedError: The outbox is closed.
        """
        encoded = [self._encode(event) for event in events]
        deadline = time.monotonic() + self._patience
        while not self._try_append(encoded, identity, deadline):
            make_room(deadline - time.monotonic())

    def _encode(self, event: Event) -> bytes:
        encoded = encode_event(event)
        if len(encoded) > self._largest:
            problem = f"must have at most {self._largest} bytes when encoded"
            raise InvalidEventError("event", problem, len(encoded), hint="See max_event_bytes")
        return encoded

    def _try_append(self, encoded: Sequence[bytes], identity: str, deadline: float) -> bool:
        try:
            self._outbox.append(encoded, identity)
        except QueueFullError:
            if self._blocks and time.monotonic() < deadline:
                return False
            raise
        return True
