"""What `import --send` sends with: beside the import, and then until nothing waits."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from segops_durable.cli.draining import Drained, emptied
from segops_durable.client import SegOpsClient
from segops_durable.delivery import State
from segops_durable.errors import SegOpsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from segops_durable.cli.configuration import Configuration
    from segops_durable.delivery import Stats

MOST_WAITING = 100_000
"""Events that may wait while it imports, unless `max_queue_events` is set: a file of a hundred
million rows would fill the disk before the first thousandth of it is sent."""

_BLOCK_SECONDS = 300.0
"""What it waits for room while nothing is accepted, unless `overflow_timeout` is set."""


class Sending:
    """A client that sends what an import stores.

    Args:
        client: The client.
        errors: What it tells of.

    Attributes:
        client: The client.
    """

    def __init__(self, client: SegOpsClient, errors: list[SegOpsError]) -> None:
        self.client = client
        self._errors = errors
        self._before: Stats = client.stats()
        self._accepted = self._before.accepted_total

    def is_worth_waiting(self) -> bool:
        """Whether a full queue will have room: SegOps has taken something, or will at its time."""
        now = self.client.stats()
        accepted, self._accepted = self._accepted, now.accepted_total
        return now.accepted_total > accepted or now.state in {
            State.RATE_LIMITED,
            State.GATED,
        }

    def finished(self, *, is_shown: bool) -> Drained:
        """Send until nothing waits, or a round sends nothing; how it went since the beginning."""
        return emptied(self.client, None, self._errors, is_shown=is_shown, before=self._before)

    def counts(self) -> dict[str, int]:
        """What was sent so far, and what waits."""
        now = self.client.stats()
        sent = max(0, now.accepted_total - self._before.accepted_total)
        return {"sent": sent, "waiting": now.pending}

    def standing(self) -> str:
        """The same in words, also where it cannot be had."""
        try:
            counts = self.counts()
        except SegOpsError:
            return "what was sent is unknown"
        return f"{counts['sent']:,} sent, {counts['waiting']:,} wait"


@contextmanager
def sending(configuration: Configuration, chosen: Mapping[str, Any]) -> Iterator[Sending]:
    """Yield a client of a command's settings that sends what an import stores.

    Args:
        configuration: The settings.
        chosen: Options of the client that the command has of its own.
    """
    errors: list[SegOpsError] = []
    usual = {
        "overflow": "block",
        "overflow_timeout": configuration.value("overflow_timeout", _BLOCK_SECONDS),
        "max_queue_events": configuration.value("max_queue_events", MOST_WAITING),
        "catch_up_batch_size": None,
        "on_error": errors.append,  # what still waits in the end is told of
    }
    options = configuration.options_of_outbox(**{**usual, **chosen})
    with SegOpsClient.of(replace(options, sends=True, shutdown_timeout=0.0)) as client:
        yield Sending(client, errors)
