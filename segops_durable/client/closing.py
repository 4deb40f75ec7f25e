"""How a client ends: one last effort to send, then its thread, its file and its connections."""

from __future__ import annotations

import atexit
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from segops_durable.client.checks import check_timeout
from segops_durable.errors import SegOpsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.client.per_process import PerProcessDelivery
    from segops_durable.delivery import FlushResult
    from segops_durable.outbox import Outbox

GRACE_SECONDS = 0.25
"""What a request under way is given to be answered when the time of a shutdown is over."""


class Closing:
    """The end of a client, in this order.

    1. The outbox is asked whether it can be written: where a signal handler has interrupted
       `track` on this very thread it cannot, and then the client stays open.
    2. From here on no call is taken.
    3. One flush.
    4. The flusher ends, the outbox is closed, then the connections.

    An exception may interrupt it at any instruction; the next call takes it up where it was.

    Args:
        outbox: Closed by this; what is stopped before it comes with `at_exit_too`.
        patience: Seconds for all of it, where a call does not say how many.
        sends: Whether there is anything to wait for. Defaults to True.

    Attributes:
        has_begun: Whether calls are refused.
        result: Of the last effort; None until all is closed.
    """

    def __init__(self, outbox: Outbox, patience: float, *, sends: bool = True) -> None:
        self.has_begun: bool = False
        self.result: FlushResult | None = None
        self._flushed: FlushResult | None = None
        self._outbox = outbox
        self._patience = patience
        self._sends = sends

    def at_exit_too(self, delivery: PerProcessDelivery, shut_down: Callable[[], object]) -> None:
        """Have what was made closed; at a normal interpreter exit as well, by `shut_down`."""
        self._delivery = delivery
        self._shut_down = shut_down
        atexit.register(self._at_exit)

    def not_at_exit(self) -> None:
        """Leave it alone at the interpreter's exit: there is nothing to close."""
        atexit.unregister(self._at_exit)

    def run(self, timeout: float | None = None) -> FlushResult:
        """Come to the end; `SegOpsClient.shutdown` has the rest."""
        if self.result is not None:
            return self.result
        check_timeout(timeout)
        deadline = time.monotonic() + (self._patience if timeout is None else timeout)
        if self._delivery.closing.is_mine():
            raise self._outbox.interrupted()
        if self._delivery.current.flusher.is_current:
            return self._run_from_within()
        return self._delivery.closing.run(lambda: self._run(deadline))

    def _at_exit(self) -> None:
        # a child that did not use the client has nothing to send
        if os.getpid() == self._delivery.process_id:
            with suppress(SegOpsError):  # what waits is on disk; a traceback would help nobody
                self._shut_down()

    def _run(self, deadline: float) -> FlushResult:
        if self.result is None:
            if self._flushed is None:
                self._flushed = self._flush(deadline)
            self._close(deadline)
            self.result = self._flushed
        return self.result

    def _flush(self, deadline: float) -> FlushResult:
        self._outbox.check_writable()
        self.has_begun = True
        try:
            return self._delivery.current.flushing.flush(_left(deadline) if self._sends else 0.0)
        except SegOpsError:
            self._close(deadline)
            raise

    def _close(self, deadline: float) -> None:
        delivery = self._delivery.current
        delivery.flusher.stop(max(_left(deadline), GRACE_SECONDS))
        self._outbox.close(max(_left(deadline), GRACE_SECONDS))
        delivery.close()
        self.not_at_exit()

    def _run_from_within(self) -> FlushResult:
        """Have the sending thread, which is the caller's, end; it closes the outbox then."""
        self.has_begun = True
        delivery = self._delivery.current
        known = delivery.flushing.flush(0)

        def end() -> None:
            self._flushed = self._flushed or known
            self._run(time.monotonic())

        def end_unless_another_does() -> None:
            with suppress(TimeoutError):
                self._delivery.closing.run(end, 0.0)

        delivery.flusher.stop_from_within(end_unless_another_does)
        return known


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
