"""How many requests a minute the client makes at most."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segops_durable.system.clock import Clock


class Pacer:
    """Spaces requests evenly, so that no minute ever sees more of them than allowed.

    Args:
        per_minute: Requests a minute at most; None for no limit.
        stop: Ends a wait.
        clock: The time.
    """

    def __init__(self, per_minute: int | None, stop: threading.Event, clock: Clock) -> None:
        self._spacing = 60.0 / per_minute if per_minute else 0.0
        self._stop = stop
        self._clock = clock
        self._next = clock.monotonic()
        self._turn = threading.Lock()  # over several connections several threads wait

    def wait_for_turn(self) -> bool:
        """Wait until a request may be made; False if `stop` came first."""
        if not self._spacing:
            return True
        with self._turn:
            wait = self._next - self._clock.monotonic()
            if wait > 0 and self._clock.sleep(self._stop, wait):
                return False
            self._next = max(self._next, self._clock.monotonic()) + self._spacing
            return True
