"""Looks now and then how a service is, and tells the service manager and the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from segops_durable.cli.service.health import Health, health_of
from segops_durable.cli.service.logs import note

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.cli.service.manager import Manager
    from segops_durable.client import SegOpsClient

_LONGEST = 5.0
_PARTS = 3
"""Looks within the time after which the manager ends a process that it hears nothing of."""

_CALM = {"sending", "standby"}


class Watch:
    """Feeds the manager's watchdog only while what sends gets on. For one thread at a time.

    Args:
        client: What is watched.
        manager: Who is told.
        trouble: Says what keeps events from being stored. Defaults to nothing.
    """

    def __init__(
        self,
        client: SegOpsClient,
        manager: Manager,
        trouble: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._client = client
        self._manager = manager
        self._trouble = trouble
        self._condition = "sending"
        self._status = ""
        patience = manager.patience
        self.interval: float = _LONGEST if patience is None else min(_LONGEST, patience / _PARTS)

    def health(self) -> Health:
        """How it is now."""
        return health_of(self._client, self._trouble())

    def look(self) -> None:
        """Look once."""
        try:
            health = self.health()
        except Exception as error:  # noqa: BLE001 - nothing may end the watch; the log has it
            note("watch", f"it is unknown how the service is: {error}", level=logging.ERROR)
            return
        if health.is_alive:
            self._manager.alive()
        if health.status != self._status:
            self._status = health.status
            self._manager.status(health.status)
        if health.condition != self._condition:
            self._condition = health.condition
            self._note(health)

    def _note(self, health: Health) -> None:
        stats = health.stats
        error = None if stats is None else stats.last_error
        text = health.problem or f"{health.condition}" + (f": {error}" if error else "")
        if health.condition in _CALM:
            text = "events are sent" if health.condition == "sending" else "another process sends"
        level = logging.INFO if health.condition in _CALM else logging.WARNING
        waiting = None if stats is None else stats.pending
        note("state", text, level=level, state=health.condition, waiting=waiting)
