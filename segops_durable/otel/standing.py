"""Gauges and counters of what clients say of themselves, asked for when somebody collects them."""

from __future__ import annotations

import time
import weakref
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, TypeAlias

from opentelemetry.metrics import Observation

from segops_durable.delivery import State
from segops_durable.errors import SegOpsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.metrics import CallbackOptions, Meter

    from segops_durable.client import SegOpsClient
    from segops_durable.delivery import Stats

Value: TypeAlias = "int | float"
Found: TypeAlias = "Iterable[tuple[Value, Mapping[str, str]]]"
"""Values, each with the attributes that it has besides those of its client."""

_FRESH_SECONDS = 0.1
"""For so long what a client said is what it says: a collection asks for each metric in turn."""

_GAUGES: tuple[tuple[str, str, str, Callable[[Stats], Found]], ...] = (
    ("segops.outbox.waiting", "{event}", "Events that wait on disk.",
     lambda stats: _one(stats.pending)),
    ("segops.outbox.held", "{event}",
     "Those of them that wait for a session of their user, or a client with the other key.",
     lambda stats: _one(sum(stats.held.values()))),
    ("segops.outbox.dead_letters", "{event}", "Events that are not sent any more.",
     lambda stats: _one(stats.dead)),
    ("segops.outbox.oldest.age", "s", "Age of the oldest event that waits; 0 if none does.",
     lambda stats: _one(stats.oldest_age or 0.0)),
    ("segops.outbox.size", "By", "Size of the outbox files.",
     lambda stats: _one(stats.queue_bytes)),
    ("segops.outbox.last_accepted", "s", "When SegOps last accepted events, in Unix time.",
     lambda stats: _one(_unix_time(stats.last_accepted_at))),
    ("segops.sender.retry.delay", "s", "Until what failed is tried again; 0 if nothing failed.",
     lambda stats: _one(_seconds_until(stats.retry_at))),
    ("segops.sender.state", "1", "1 for what the sender is doing, 0 for all else.",
     lambda stats: [
         (int(stats.state is each), {"segops.sender.state": each.value}) for each in State
     ]),
    ("segops.sender.requests_per_minute", "{request}/min",
     "Requests that are made at most for now; 0 for no limit.",
     lambda stats: _one(stats.requests_per_minute or 0.0)),
    ("segops.sender.last_error", "1", "1 for the last error that delivery met.",
     lambda stats: [] if stats.last_error is None
     else [(1, {"error.type": type(stats.last_error).__name__})]),
)  # fmt: skip

_COUNTERS: tuple[tuple[str, str, Callable[[Stats], Found]], ...] = (
    ("segops.outbox.accepted", "Events that SegOps has accepted from the outbox, ever.",
     lambda stats: _one(stats.accepted_total)),
    ("segops.outbox.dropped", "Events that gave way to new ones in the outbox, ever.",
     lambda stats: _one(stats.dropped_total)),
    ("segops.outbox.lost", "Events that a damaged disk has taken from the outbox, ever.",
     lambda stats: _one(stats.lost_total)),
    ("segops.outbox.expired", "Events that waited longer than max_age in the outbox, ever.",
     lambda stats: _one(stats.expired_total)),
    ("segops.outbox.screened_out", "Events that before_store has dropped, by this client.",
     lambda stats: _one(stats.screened_out)),
)  # fmt: skip


class Standing:
    """The instruments of one meter, for whichever clients are added.

    A client that is shut down, or that nobody else refers to, has no values any more; nor has it
    in a child of a fork, until that uses it.

    Args:
        meter: What makes the instruments.
    """

    def __init__(self, meter: Meter) -> None:
        self._clients: list[_Observed] = []
        for name, unit, text, read in _GAUGES:
            meter.create_observable_gauge(name, [self._reader(read)], unit=unit, description=text)
        for name, text, read in _COUNTERS:
            meter.create_observable_counter(
                name, [self._reader(read)], unit="{event}", description=text
            )

    def add(self, client: SegOpsClient, outbox: str) -> None:
        """Have a client's values observed, under the name of its outbox; twice is once."""
        others = [each for each in self._clients if each.client() not in {None, client}]
        self._clients = [*others, _Observed(client, outbox)]

    def _reader(self, read: Callable[[Stats], Found]) -> Callable[..., Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            return [
                Observation(value, {"segops.outbox": each.outbox, **attributes})
                for each in self._clients
                if (stats := each.stats()) is not None
                for value, attributes in read(stats)
            ]

        return observe


class _Observed:
    """A client, and what it has said of itself a moment ago."""

    def __init__(self, client: SegOpsClient, outbox: str) -> None:
        self.client = weakref.ref(client)
        self.outbox = outbox
        self._stats: Stats | None = None
        self._asked_at = 0.0

    def stats(self) -> Stats | None:
        """How it stands; None if there is nothing to say."""
        client = self.client()
        # in a child it would start a sender there, for the sake of a number
        if client is None or client._delivery.is_asleep:  # noqa: SLF001 - of our own package
            return None
        now = time.monotonic()
        if self._stats is None or now - self._asked_at > _FRESH_SECONDS:
            self._stats = None
            with suppress(SegOpsError):  # it is shut down, or its disk fails
                self._stats = client.stats()
            self._asked_at = now
        return self._stats


def _one(value: Value | None) -> Found:
    return [] if value is None else [(value, {})]


def _unix_time(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _seconds_until(moment: datetime | None) -> float:
    if moment is None:
        return 0.0
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())
