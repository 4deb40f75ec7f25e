"""Which events have waited long enough to be sent in a batch that is not full.

At the end of an interval those that wait then: what comes later fills a batch, or waits for an
interval of its own. So at any rate there is one small batch an interval, and no event waits
longer than one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segops_durable.system.clock import Clock


class Patience:
    """The interval that is under way. For one thread.

    In the beginning none has waited: an interval begins.

    Args:
        seconds: How long an event waits for others at most.
        clock: The time.

    Attributes:
        over_up_to: The newest event that waits no longer.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._since = clock.monotonic()
        self.over_up_to: int = 0

    @property
    def remaining(self) -> float:
        """Seconds that are left of the interval; 0 if it is over."""
        return max(0.0, self._since + self._seconds - self._clock.monotonic())

    def end(self, newest: int, since: float | None = None) -> None:
        """End it for the events up to the newest, and begin another for those to come.

        Args:
            newest: The newest event that waits.
            since: When it was the newest, by the clock that only grows. Defaults to now.
        """
        self.over_up_to = newest
        self._since = self._clock.monotonic() if since is None else since
