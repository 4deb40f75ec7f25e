"""Where the errors of delivery go: to `on_error`, or to the log, which they must not fill."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.clock import Clock
    from segops_durable.errors import SegOpsError

QUIET_SECONDS = 3600.0
"""Between two log lines about the same kind of error: a week offline makes 168 of them."""

_MOST_POSTPONED = 100

_log = logging.getLogger("segops_durable")


class Reporter:
    """Reports errors; never raises, whatever `on_error` does.

    Args:
        on_error: Called with each error; None for the logger ``segops_durable``.
        clock: The time.
    """

    def __init__(self, on_error: Callable[[SegOpsError], object] | None, clock: Clock) -> None:
        self._on_error = on_error
        self._clock = clock
        self._lock = threading.Lock()
        self._postponed: deque[SegOpsError] = deque(maxlen=_MOST_POSTPONED)
        self._quiet_until: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}
        self.last_error: SegOpsError | None = None

    def __call__(self, error: SegOpsError) -> None:
        """Report an error."""
        self.last_error = error
        if self._on_error is None:
            self._log_now_and_then(type(error).__name__, "%s", error)
            return
        try:
            self._on_error(error)
        except BaseException as own:  # noqa: BLE001 - sys.exit() there must not end our thread
            what = "on_error raised %r while it was told: %s"
            self._log_now_and_then("on_error", what, own, error, exc_info=own)

    def postpone(self, error: SegOpsError) -> None:
        """Keep an error for the sending thread, which `on_error` is called on."""
        self._postponed.append(error)

    def tell_postponed(self) -> None:
        """Report what was postponed, oldest first."""
        for _ in range(len(self._postponed)):
            self(self._postponed.popleft())

    def _log_now_and_then(
        self, kind: str, what: str, *args: object, exc_info: BaseException | None = None
    ) -> None:
        with self._lock:
            now = self._clock.monotonic()
            if now < self._quiet_until.get(kind, now):
                self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
                return
            self._quiet_until[kind] = now + QUIET_SECONDS
            unsaid = self._unsaid.pop(kind, 0)
        if unsaid:
            what += f" ({unsaid} more like it since the last line)"
        _log.warning(what, *args, exc_info=exc_info)
