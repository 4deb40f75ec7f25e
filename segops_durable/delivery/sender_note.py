"""What the process that sends says of itself, for `status` in another one."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.delivery.reporting import Reporter
    from segops_durable.delivery.status import State
    from segops_durable.outbox import Outbox
    from segops_durable.system.clock import Clock


class SenderNote:
    """Left beside the outbox, whenever what it says has changed.

    Args:
        outbox: Beside which it is left.
        report: Knows the last error.
        state: Says what the sender is doing.
        clock: The time.
    """

    def __init__(
        self, outbox: Outbox, report: Reporter, state: Callable[[], State], clock: Clock
    ) -> None:
        self._outbox = outbox
        self._report = report
        self._state = state
        self._clock = clock
        self._leaving = threading.RLock()  # two threads: what is left last is what was read last
        self._left: dict[str, str | None] = {}

    def leave(self) -> None:
        """Tell other processes how sending goes, if that has changed."""
        with self._leaving:
            error = self._report.last_error
            note = {
                "state": self._state().value,
                "last_error": None if error is None else str(error),
            }
            if chain := getattr(error, "chain", ""):
                note["last_error_chain"] = chain
            if note != self._left:
                with suppress(OSError):
                    self._outbox.sender_lock.leave_note({**note, "at": self._clock.time()})
                self._left = note
