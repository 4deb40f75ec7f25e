"""How long to wait: between attempts, between rounds, and when the server asks for it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

import tenacity

from segops_durable.verdicts import http_date

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime

    from segops_durable.clock import Clock

RETRY_SECONDS = 0.5
"""The back-off of every SegOps SDK: 500 ms times the attempt (public documentation)."""

LONGEST_PAUSE = 60.0
"""Seconds between two rounds at most, in a long outage."""

LONGEST_BLOCKED_PAUSE = 300.0
"""Seconds between two rounds at most while the key or the address is wrong: that takes a
person to mend, who may then flush or set the key."""

_T = TypeVar("_T")


def send_with_retries(
    send: Callable[[], _T],
    *,
    is_worth_retrying: Callable[[_T], bool],
    max_retries: int,
    stop: threading.Event,
    clock: Clock,
) -> _T:
    """Call `send` until it is not worth retrying, retries run out, or `stop` is set.

    Args:
        send: One attempt.
        is_worth_retrying: Whether another attempt may help.
        max_retries: Attempts after the first.
        stop: Ends a wait between attempts, and the attempts.
        clock: What the waits go by.

    Returns:
        The last attempt's outcome.
    """

    def wait(seconds: float) -> None:
        clock.sleep(stop, seconds)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(is_worth_retrying),
        # both need the event: a sleep that it ends would otherwise return at once, and spin
        stop=tenacity.stop_after_attempt(max_retries + 1) | tenacity.stop_when_event_set(stop),
        sleep=wait,
        wait=tenacity.wait_incrementing(start=RETRY_SECONDS, increment=RETRY_SECONDS),
        retry_error_callback=_last_outcome,
        reraise=True,
    )
    outcome: _T = retrying(send)
    return outcome


def _last_outcome(state: tenacity.RetryCallState) -> object:
    if state.outcome is None:  # pragma: no cover - tenacity calls this after an attempt only
        raise RuntimeError("no attempt was made")
    return state.outcome.result()


def retry_after_seconds(header: str | None, now: datetime, longest: float) -> float | None:
    """Read a ``Retry-After`` header: seconds, or a date (RFC 9110, section 10.2.3).

    Args:
        header: The header's value, or None where there is none.
        now: The time that a date is compared with.
        longest: Seconds that it may ask for at most.

    Returns:
        Seconds to wait, or None where the header is missing or says nothing.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), longest)
    moment = http_date(text)
    if moment is None:
        return None
    return min(max((moment - now).total_seconds(), 0.0), longest)


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
        """Whether the server asked for the wait that is on: nothing may cut it short."""
        return self._clock.monotonic() < self._ordered_until

    def lengthen(self, longest: float = LONGEST_PAUSE) -> None:
        """Wait after a failure: twice as long as after the one before, with jitter.

        Args:
            longest: The highest ceiling, in seconds.
        """
        ceiling = min(self._shortest * 2.0 ** min(self._failures, 30), longest)
        self._failures += 1
        share = random.uniform(0.5, 1.0)  # noqa: S311 - spreads a fleet, hides nothing
        self._until = self._clock.monotonic() + ceiling * share

    def order(self, seconds: float) -> None:
        """Wait for at least as long as the server asked for."""
        self._ordered_until = self._clock.monotonic() + seconds

    def stagger(self) -> None:
        """Wait for some part of the shortest wait, so that a fleet does not come as one."""
        share = random.random()  # noqa: S311 - as above
        self._until = self._clock.monotonic() + min(self._shortest, LONGEST_PAUSE) * share

    def reset(self) -> None:
        """Forget the failures and end the wait, but not one that the server asked for."""
        self._failures = 0
        self._until = 0.0
