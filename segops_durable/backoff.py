"""How long to wait: between attempts, between rounds, and when the server asks for it."""

from __future__ import annotations

import random
import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

import tenacity

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

RETRY_SECONDS = 0.5
"""The back-off of every SegOps SDK: 500 ms times the attempt (public documentation)."""

LONGEST_PAUSE = 60.0
"""Seconds between two rounds at most, in a long outage."""

LONGEST_RETRY_AFTER = 3600.0
"""Seconds that a ``Retry-After`` may ask for at most."""

_T = TypeVar("_T")


def send_with_retries(
    send: Callable[[], _T],
    *,
    is_worth_retrying: Callable[[_T], bool],
    max_retries: int,
    stop: threading.Event,
) -> tuple[_T, int]:
    """Call `send` until it is not worth retrying, retries run out, or `stop` is set.

    Args:
        send: One attempt.
        is_worth_retrying: Whether another attempt may help.
        max_retries: Attempts after the first.
        stop: Ends a wait between attempts, and the attempts.

    Returns:
        The last attempt's outcome, and how many attempts there were.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(is_worth_retrying),
        # both need the event: sleep_using_event alone would return at once and spin
        stop=tenacity.stop_after_attempt(max_retries + 1) | tenacity.stop_when_event_set(stop),
        sleep=tenacity.sleep_using_event(stop),
        wait=tenacity.wait_incrementing(start=RETRY_SECONDS, increment=RETRY_SECONDS),
        retry_error_callback=_last_outcome,
        reraise=True,
    )
    outcome: _T = retrying(send)
    attempts: int = retrying.statistics["attempt_number"]
    return outcome, attempts


def _last_outcome(state: tenacity.RetryCallState) -> object:
    if state.outcome is None:  # pragma: no cover - tenacity calls this after an attempt only
        raise RuntimeError("no attempt was made")
    return state.outcome.result()


def retry_after_seconds(header: str | None, now: datetime | None = None) -> float | None:
    """Read a ``Retry-After`` header: seconds, or a date; clamped to an hour.

    Returns:
        Seconds to wait, or None where the header is missing or says nothing.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment - (now or datetime.now(timezone.utc))).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


class Pause:
    """The wait between rounds: none while they succeed, doubling while they fail.

    Args:
        shortest: Seconds after the first failure.
    """

    def __init__(self, shortest: float) -> None:
        self._shortest = min(shortest, LONGEST_PAUSE)
        self._failures = 0
        self._until = 0.0
        self._ordered = False

    @property
    def remaining(self) -> float:
        """Seconds left of the wait; 0 if there is none."""
        return max(0.0, self._until - time.monotonic())

    @property
    def is_ordered(self) -> bool:
        """Whether the server asked for the wait that is on: nothing may cut it short."""
        return self._ordered and self.remaining > 0

    def lengthen(self, at_least: float | None = None) -> float:
        """Wait after a failure: twice as long as after the one before, with jitter.

        Args:
            at_least: Seconds that the server asked for, if it did.

        Returns:
            The seconds.
        """
        longest = min(self._shortest * 2.0 ** min(self._failures, 30), LONGEST_PAUSE)
        seconds = longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads a fleet, hides nothing
        self._failures += 1
        self._ordered = at_least is not None
        seconds = max(seconds, at_least or 0.0)
        self._until = time.monotonic() + seconds
        return seconds

    def reset(self) -> None:
        """Forget the failures: a round went well."""
        self._failures = 0
        self._until = 0.0
        self._ordered = False
