"""`MemoryClient`: a client that keeps events in a list, for the unit tests of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from segops_durable.client import SegOpsClient, intake_of, users_of
from segops_durable.delivery import Reporter
from segops_durable.system.clock import Clock
from segops_durable.testing.events import Events
from segops_durable.testing.memory import MemoryOutbox
from segops_durable.testing.memory_delivery import MemoryClosing, MemoryDelivery

if TYPE_CHECKING:
    from segops_durable.client import Options


class MemoryClient(SegOpsClient):
    """A `SegOpsClient` that stores and sends nothing: no disk, no thread, no server.

    It takes what the real one takes, refuses what that refuses, with the same errors, and asks
    the same callbacks. An event waits until `flush` or `shutdown`, and is accepted by that, as if
    SegOps took all of them: nothing ever fails, so there are no dead letters. `max_queue_events`
    holds; `max_queue_bytes` counts the bytes of the events alone.

    Args:
        *args: As for `SegOpsClient`.
        **kwargs: As for `SegOpsClient`. What is about disks, threads and requests is checked, and
            has no effect.

    Raises:
        ConfigurationError: As for `SegOpsClient`.
    """

    _waits = False

    def _start(self, options: Options) -> None:
        self._options = options
        self._clock = Clock()
        outbox = MemoryOutbox(options, self._clock)
        # they have what a client asks of its parts, and nothing of what those do among themselves
        self._outbox = cast("Any", outbox)
        self._closing = cast("Any", MemoryClosing(outbox))
        self._delivery = cast(
            "Any", MemoryDelivery(outbox, Reporter(options.on_error, self._clock))
        )
        users = users_of(options, self._outbox)
        self._intake = intake_of(options, self._outbox, users, self._clock)
        self._events = Events(outbox.events, "events that were tracked")

    @property
    def events(self) -> Events:
        """All events that were tracked and not erased, waiting or accepted, oldest first."""
        return self._events

    def __repr__(self) -> str:
        return f"MemoryClient({self._options!r})"
