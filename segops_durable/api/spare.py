"""What a rate has grown by while nobody needed it: a call a minute in each minute.

A share is learned, and does not hold for ever: others are done, an outage is over, the plan is
another. Who sends finds that out by what is answered. Who has nothing to send finds out nothing,
and would come back to a rate of long ago. What it has grown by was never tried, though: a single
refusal takes it away.
"""

from __future__ import annotations

from segops_durable.api.noted_rate import MOST

_MINUTE = 60.0


class Spare:
    """Counts the time in which turns were there, and nobody took them.

    Attributes:
        per_minute: Requests a minute that it makes.
    """

    def __init__(self) -> None:
        self.per_minute: float = 0.0
        self._since = 0.0
        self._is_idle = False

    def begin(self, now: float, per_minute: float = 0.0) -> None:
        """Begin with so much: nothing was to be sent since."""
        self.per_minute = per_minute
        self._since = now
        self._is_idle = True

    def grow(self, now: float, turn: float) -> None:
        """Grow by the time since there was a turn, up to now.

        Args:
            now: The time.
            turn: When the next turn is, or was.
        """
        unused = now - max(self._since, turn)
        if self._is_idle and unused > 0:
            self.per_minute = min(self.per_minute + unused / _MINUTE, MOST)
        self._since = now

    def pause(self) -> None:
        """Grow no more: somebody waits for a turn, or for what is answered."""
        self._is_idle = False

    def go_on(self, now: float) -> None:
        """Grow again: what was sent has arrived, and maybe that was all."""
        if not self._is_idle:
            self._is_idle, self._since = True, now

    def end(self) -> None:
        """Take it all away: some was refused."""
        self.per_minute = 0.0
        self._is_idle = False

    @property
    def noted(self) -> float | None:
        """For the next process; None if what waits then is not known to have come through."""
        return self.per_minute if self._is_idle else None
