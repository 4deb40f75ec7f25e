"""How long to wait between rounds, and when the server asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segops_durable.system.clock import Clock

LONGEST_PAUSE = 60.0
"""Seconds between two rounds at most, in a long outage."""

LONGEST_BLOCKED_PAUSE = 300.0
"""Seconds between two rounds at most while the key or the address is wrong: that takes a
person to mend, who may then flush or set the key."""

LATER_SHARE = 0.2
"""Of a wait that SegOps has ordered: so much longer it may be, as its devices draw."""

LONGEST_LATER = 30.0
"""Seconds that it is longer at most."""


def drawn_later(order: float, clock: Clock) -> float:
    """Draw the seconds that one device waits beyond what SegOps has ordered.

    Else all that were told the same would be there again in the same second.

    Args:
        order: The seconds that it has ordered.
        clock: What draws.
    """
    return clock.draw(0.0, min(order * LATER_SHARE, LONGEST_LATER))


class Pause:
    """The wait between rounds: none while they succeed, doubling while they fail.

    A wait lies between half its ceiling and all of it. Drawn from zero on, as "full jitter"
    is, the waits of an outage would be 30 seconds in the mean, and so 120 connections an hour.

    Args:
        shortest: The ceiling after the first failure, in seconds.
        clock: The time.
    """

    def __init__(self, shortest: float, clock: Clock) -> None:
        self._shortest = shortest
        self._clock = clock
        self._failures = 0
        self._until = 0.0
        self._ordered_until = 0.0

    @property
    def failures(self) -> int:
        """How many failures there were in a row."""
        return self._failures

    @property
    def remaining(self) -> float:
        """Seconds left of the wait; 0 if there is none."""
        return max(0.0, max(self._until, self._ordered_until) - self._clock.monotonic())

    @property
    def is_ordered(self) -> bool:
        """Whether the server asked for the wait that is on: nothing may cut it short.

        What was drawn beyond it is a part of it.
        """
        return self._clock.monotonic() < self._ordered_until

    def lengthen(self, longest: float = LONGEST_PAUSE) -> None:
        """Wait after a failure: twice as long as after the one before, with jitter.

        Args:
            longest: The highest ceiling, in seconds.
        """
        ceiling = min(self._shortest * 2.0 ** min(self._failures, 30), longest)
        self._failures += 1
        share = self._clock.draw(0.5, 1.0)
        self._until = self._clock.monotonic() + ceiling * share

    def order(self, seconds: float, later: float | None = None) -> tuple[float, float] | None:
        """Wait for as long as the server asked for, and a little longer, as is drawn.

        Args:
            seconds: What it asked for.
            later: What was drawn before, and is left of it. Defaults to None: it is drawn now.

        Returns:
            Both, for whoever keeps them; None where the wait that is on is longer.
        """
        later = drawn_later(seconds, self._clock) if later is None else later
        until = self._clock.monotonic() + seconds + later
        if until <= self._ordered_until:
            return None
        self._ordered_until = until
        return seconds, later

    def stagger(self, *, is_after_power_cut: bool = False) -> None:
        """Wait for some part of the shortest wait, so that a fleet does not come as one.

        Args:
            is_after_power_cut: Whether all of it may have been started at once: then for some part
                of the longest, as those wait who were away with the network. Defaults to False.
        """
        longest = LONGEST_PAUSE if is_after_power_cut else min(self._shortest, LONGEST_PAUSE)
        self._until = self._clock.monotonic() + self._clock.draw(0.0, longest)

    def reset(self) -> None:
        """Forget the failures and end the wait, but not one that the server asked for."""
        self._failures = 0
        self._until = 0.0
