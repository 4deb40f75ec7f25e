"""Who looks on at the requests of a delivery, where an application wants somebody to.

Whatever becomes of an observer, a batch is sent, once, and what became of it is told as ever.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from segops_durable.errors.redaction import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.api.sendable import Sendable
    from segops_durable.api.verdicts import Verdict

_log = logging.getLogger("segops_durable")


class Observer(Protocol):
    """Is told of each request with events, on the thread that makes it."""

    def begin(self, batch: Sendable) -> Callable[[Verdict | None], object]:
        """Hear of a request before it is made.

        Returns:
            What is called at its end, on the same thread, with what became of it; with None if
            something was raised.
        """


class Watch:
    """Has an observer look on, and nothing that it raises come any further.

    Args:
        observer: Who looks on.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._is_failure_told = False

    def send(self, batch: Sendable, send: Callable[[Sendable], Verdict]) -> Verdict:
        """Send a batch, with somebody looking on."""
        end: Callable[[Verdict | None], object] | None = None
        verdict: Verdict | None = None
        try:
            end = self._observer.begin(batch)
        except BaseException as error:  # noqa: BLE001 - sys.exit() there must not end our thread
            self._tell(error)
        try:
            verdict = send(batch)
            return verdict
        finally:
            if end is not None:
                try:
                    end(verdict)
                except BaseException as error:  # noqa: BLE001 - as above
                    self._tell(error)

    def _tell(self, error: BaseException) -> None:
        """Log it once: an observer that fails fails at every request."""
        if not self._is_failure_told:
            self._is_failure_told = True
            text = "an observer of the requests raised %r; events are sent all the same"
            _log.warning(text, without_secrets(error))
