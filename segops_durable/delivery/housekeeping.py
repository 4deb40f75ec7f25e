"""Looks after the outbox file between rounds, and tells of what happened to it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from segops_durable.errors import DroppedEventsError, ExpiredEventsError, SegOpsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.delivery.reporting import Reporter
    from segops_durable.outbox import Outbox


class _Growth:
    """By how much a total has grown since it was last asked for."""

    def __init__(self, total: Callable[[], int]) -> None:
        self._total = total
        self._seen = total()

    def take(self) -> int:
        before, self._seen = self._seen, self._total()
        return self._seen - before


class Housekeeping:
    """For the process that sends, on its sending thread.

    Args:
        outbox: What is looked after.
        report: Called with each error; it must not raise.
    """

    def __init__(self, outbox: Outbox, report: Reporter) -> None:
        self._outbox = outbox
        self._report = report
        self._erasure = outbox.erasure.newest()
        self._dropped = _Growth(outbox.waiting.dropped_total)
        self._expired = _Growth(outbox.waiting.expired_total)

    def before_round(self) -> None:
        """Notice a file that vanished or was replaced, and a person that was erased.

        Whom, is not written down; so all goes that was kept here of anyone's events.
        """
        self._outbox.look_after()
        newest = self._outbox.erasure.newest()
        if newest != self._erasure:
            self._erasure = newest
            self._report.forget()

    def after_round(self, *, is_idle: bool) -> None:
        """Tell of incidents, and of events that gave way or expired; tidy up when nothing is left.

        Raises:
            StorageError: The outbox cannot be read or written.
        """
        if is_idle:
            self._outbox.tidy()
        self.tell()
        if (expired := self._expired.take()) > 0:
            self._report(
                ExpiredEventsError(
                    f"{expired} events have waited longer than max_age; they are dead letters",
                    expired=expired,
                    hint="`segops-durable dead retry` puts them back; their age counts anew then",
                )
            )
        if (dropped := self._dropped.take()) > 0:
            self._report(
                DroppedEventsError(
                    f"the outbox was full: the {dropped} oldest events gave way",
                    dropped=dropped,
                    hint="Raise max_queue_events or max_queue_bytes, or let overflow raise",
                )
            )

    def tell(self) -> None:
        """Tell of what happened to the file."""
        for incident in self._outbox.pop_incidents():
            self._report(incident)
        with suppress(SegOpsError):  # it stays noted, and is told again: that ends no thread
            self._outbox.incidents_are_told()
