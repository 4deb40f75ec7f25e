"""The clocks that sending goes by, and waiting on them, in one place that a test can move."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable


class Clock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """Seconds that only ever grow; for waits."""
        return time.monotonic()

    def time(self) -> float:
        """Unix time in seconds; for what is written down, and outlives the process."""
        return time.time()

    def sleep(self, stop: threading.Event, seconds: float) -> bool:
        """Wait, and say whether `stop` was set before it was over."""
        return stop.wait(seconds)

    def wait_for(
        self, condition: threading.Condition, is_met: Callable[[], bool], seconds: float
    ) -> bool:
        """Wait until a condition, which the caller holds, is met; False if time ran out."""
        return condition.wait_for(is_met, seconds)
