"""What a client in memory delivers by, and ends with: all that waits is accepted at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.client import check_timeout
from segops_durable.delivery import FlushResult, State

if TYPE_CHECKING:
    from segops_durable.api import Watch
    from segops_durable.delivery import Reporter
    from segops_durable.errors import SegOpsError
    from segops_durable.testing.memory import MemoryOutbox


class MemoryDelivery:
    """Has what waits accepted when it is asked to: at a flush, and where room is wanted.

    Args:
        outbox: What is delivered.
        report: Where errors go.

    Attributes:
        current: The delivery of this process; this itself, as are the next ones.
        handshake: None: no session is opened.
        is_asleep: No: there is nothing to wake.
        held: Nobody.
        retry_at: Never: nothing fails.
        wait_left: None: nothing waits for a turn.
        per_minute: There is no limit.
        state: What it says that it does.
    """

    def __init__(self, outbox: MemoryOutbox, report: Reporter) -> None:
        self.current = self.sender = self.flusher = self.flushing = self.pacer = self
        self.report: Reporter = report
        self.handshake: None = None
        self.is_asleep: bool = False
        self.held: tuple[str, ...] = ()
        self.retry_at: None = None
        self.wait_left: float = 0.0
        self.per_minute: None = None
        self.state: State = State.IDLE
        self._outbox = outbox

    def flush(self, timeout: float | None) -> FlushResult:  # noqa: ARG002 - it takes no time
        """Have all that waits accepted."""
        return FlushResult(sent=self._outbox.accept(), pending=0, dead=0, blocked=False)

    def notice(self, events: int) -> None:  # noqa: ARG002 - as many as there are
        """Leave them, until somebody flushes."""
        self.report.tell_postponed()

    def make_room(self, timeout: float) -> bool:  # noqa: ARG002 - it takes no time
        """Have all that waits accepted."""
        self._outbox.accept()
        return True

    def postpone(self, error: SegOpsError) -> None:
        """Have an error told of with the next events."""
        self.report.postpone(error)

    def look_on(self, watch: Watch) -> None:
        """Nothing is sent."""

    def use_key(self, api_key: str) -> None:
        """Nothing is sent with it."""

    def forget(self, name: str) -> None:
        """Nothing of anybody is kept here."""


class MemoryClosing:
    """The end of a client in memory: one flush.

    Args:
        outbox: What is flushed, and closed.

    Attributes:
        has_begun: Whether calls are refused.
    """

    def __init__(self, outbox: MemoryOutbox) -> None:
        self.has_begun: bool = False
        self._outbox = outbox
        self._result: FlushResult | None = None

    def run(self, timeout: float | None = None) -> FlushResult:
        """Come to the end; a second call returns what the first did."""
        if self._result is None:
            check_timeout(timeout)
            self.has_begun = True
            self._result = FlushResult(self._outbox.accept(), pending=0, dead=0, blocked=False)
            self._outbox.is_closed = True
        return self._result
