"""Where the errors of delivery go: to `on_error`, or to the log, which they must not fill."""

from __future__ import annotations

import logging
import threading
import traceback
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from segops_durable.errors.redaction import scrubbed, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable.errors import SegOpsError
    from segops_durable.system.clock import Clock

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
        self._lock = threading.RLock()  # a signal handler may interrupt a report with another
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
            # as text: the lines of the program that it shows may have a secret as well
            safe = without_secrets(own)
            trace = scrubbed("".join(traceback.format_exception(safe)))
            what = "on_error raised %r while it was told: %s\n%s"
            self._log_now_and_then("on_error", what, safe, error, trace)

    def forget(self, name: str | None = None) -> None:
        """Drop what was kept of a person, or, without a name, of whomever it may be about."""
        if self.last_error is not None and _mentions(self.last_error, name):
            self.last_error = None
        for error in self._take_postponed():
            if not _mentions(error, name):
                self._postponed.append(error)

    def postpone(self, error: SegOpsError) -> None:
        """Keep an error for the sending thread, which `on_error` is called on."""
        self._postponed.append(error)

    def tell_postponed(self) -> None:
        """Report what was postponed, oldest first."""
        for error in self._take_postponed():
            self(error)

    def _take_postponed(self) -> Iterator[SegOpsError]:
        """Take those that are there now, one by one.

        Another thread may take some meanwhile, and so may whoever is told of one: `on_error` may
        call `forget`.
        """
        for _ in range(len(self._postponed)):
            try:
                error = self._postponed.popleft()
            except IndexError:
                return
            yield error

    def _log_now_and_then(self, kind: str, what: str, *args: object) -> None:
        with self._lock:
            now = self._clock.monotonic()
            if now < self._quiet_until.get(kind, now):
                self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
                return
            self._quiet_until[kind] = now + QUIET_SECONDS
            unsaid = self._unsaid.pop(kind, 0)
        if unsaid:
            what += f" ({unsaid} more like it since the last line)"
        with suppress(Exception):  # of the application's handlers: `logging` lets it through
            _log.warning(what, *args)


def _mentions(error: BaseException, name: str | None) -> bool:
    """Whether an error, or what led to it, has a person's name in it, or may have anyone's."""
    if name is None:
        return bool(getattr(error, "events", ()) or getattr(error, "identity", ""))
    data = {**vars(error), "args": error.args}
    if any(form in repr(data) for form in (name, repr(name)[1:-1])):
        return True
    led_to_it = error.__cause__ or error.__context__
    return led_to_it is not None and _mentions(led_to_it, name)
