"""Looks after the outbox file between rounds, and tells of what happened to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.errors import DroppedEventsError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.errors import SegOpsError
    from segops_durable.outbox import Outbox


class Upkeep:
    """For the process that sends, on its sending thread.

    Args:
        outbox: What is looked after.
        report: Called with each error; it must not raise.
    """

    def __init__(self, outbox: Outbox, report: Callable[[SegOpsError], None]) -> None:
        self._outbox = outbox
        self._report = report
        self._dropped = outbox.counts().dropped_total

    def before_round(self) -> None:
        """Notice a file that vanished or was replaced."""
        self._outbox.look_after()

    def after_round(self, *, is_idle: bool) -> None:
        """Tell of incidents, and of events that gave way; tidy up when nothing is left.

        Raises:
            StorageError: The outbox cannot be read or written.
        """
        if is_idle:
            self._tidy()
        self.tell()
        total = self._outbox.counts().dropped_total
        dropped, self._dropped = total - self._dropped, total
        if dropped > 0:
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

    def _tidy(self) -> None:
        missing = self._outbox.tidy()
        if missing:
            self._report(
                StorageError(
                    f"{missing} waiting events are not in {self._outbox.path} any more",
                    path=str(self._outbox.path),
                    hint="SQLite's log was damaged or removed; check the disk",
                )
            )
