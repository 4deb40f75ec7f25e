"""When requests may be made: their turns, for all connections of a process, and for the next one.

How many a minute there are the `rate` says. Here it is asked by several threads, and what it knows
is kept beside the outbox, for whichever process sends next: a program that is started each minute
would else begin anew each minute.
"""

from __future__ import annotations

import math
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from segops_durable.api.retry_after import http_date, retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from segops_durable.api.rate import Rate
    from segops_durable.api.verdicts import Answer
    from segops_durable.system.clock import Clock

_TOO_MANY = 429
_SERVER_ERROR = 500
_KEEP_SECONDS = 1.0
"""Between two notes at least, but for a change that was answered: a process that is killed leaves
its turns of the last second unnoted, no more."""


class Pacer:
    """Gives each request its turn. Safe for use by many threads.

    Args:
        rate: How many a minute there are.
        stop: Ends a wait.
        clock: The time.
        longest: Seconds that a ``Retry-After`` may ask for at most. Defaults to an hour.
        keep: Called with what the next process goes on with. Defaults to nobody.
    """

    def __init__(
        self,
        rate: Rate,
        stop: threading.Event,
        clock: Clock,
        *,
        longest: float = 3600.0,
        keep: Callable[[dict[str, Any]], object] = lambda _kept: None,
    ) -> None:
        self._rate = rate
        self._stop = stop
        self._clock = clock
        self._longest = longest
        self._keep = keep
        self._kept_at = -_KEEP_SECONDS
        self._waits_until: float | None = None
        self._is_claimed = False  # the last turn, by one who was let in before those who wait
        self._held_until = -math.inf
        self._turn = threading.Lock()  # over several connections several threads wait
        self._knowing = threading.Lock()  # and none waits to tell what it was answered

    @property
    def per_minute(self) -> float | None:
        """Requests a minute at most for now; None for no limit."""
        return self._rate.per_minute

    @property
    def wait_left(self) -> float:
        """Seconds until the request that waits for its turn has it; 0 if none waits."""
        until = self._waits_until
        return 0.0 if until is None else max(0.0, until - self._clock.monotonic())

    def wait_for_turn(self) -> float | None:
        """Wait until a request may be made; say when that was, or None if `stop` came first."""
        with self._turn:
            has_waited = False
            try:
                while True:
                    with self._knowing:
                        now = self._clock.monotonic()
                        at = self._next_turn(now)
                        if at <= now:
                            self._rate.take(now, has_waited=has_waited)
                            self._is_claimed = False
                            return now
                        has_waited = True
                    self._waits_until = at
                    if self._clock.sleep(self._stop, at - now):
                        return None
            finally:
                self._waits_until = None

    def claim(self, until: float) -> float | None:
        """Take the next turn before those who wait for one; say when it is, or None for no turn.

        Nothing is waited for here. While others wait every second turn is theirs, and while
        SegOps has all wait there is none.

        Args:
            until: When the turn has to be at the latest, by the clock's `monotonic`.
        """
        with self._knowing:
            now = self._clock.monotonic()
            is_theirs = self._is_claimed and self._waits_until is not None
            if is_theirs or self._held_until > now:
                return None
            at = self._next_turn(now)
            if at > until:
                return None
            self._rate.take(at, has_waited=at > now)
            self._is_claimed = True
            return at

    def _next_turn(self, now: float) -> float:
        # a search for a share begins with the first turn that is asked for
        return self._held_until if self._held_until > now else self._rate.turn(now)

    def heed(self, answer: Answer, made_at: float, *, holds_all: bool = False) -> None:
        """Learn from an answer, and keep what the next process is to know.

        Args:
            answer: The answer.
            made_at: When its request had its turn.
            holds_all: Whether nobody is to have a turn before a `Retry-After` of a 429 is over.
                Defaults to False: those who send keep to it themselves.
        """
        with self._knowing:
            now = self._clock.monotonic()
            is_refused = answer.status == _TOO_MANY
            if is_refused:
                order = self._order_of(answer)
                self._rate.refuse(now, made_at, order)
                if holds_all:
                    self._held_until = max(self._held_until, now + order)
            else:
                self._rate.let_through(now, is_served=answer.status < _SERVER_ERROR)
            if self._rate.per_minute is None:
                return
            if not is_refused and now - self._kept_at < _KEEP_SECONDS:
                return
            self._kept_at = now
            kept = self._rate.kept(now)
        if kept is not None:
            self._keep(kept)

    def go_on_from(self, kept: Mapping[str, Any]) -> None:
        """Go on from what the process that sent before has kept."""
        with self._knowing:
            self._rate.go_on_from(kept, self._clock.monotonic())

    def _order_of(self, answer: Answer) -> float:
        now = http_date(answer.headers.get("Date"))
        now = now or datetime.fromtimestamp(self._clock.time(), timezone.utc)
        return retry_after_seconds(answer.headers.get("Retry-After"), now, self._longest) or 0.0


class Turns:
    """The turns of one connection. For one thread at a time.

    Args:
        pacer: Gives them to all connections.
        is_over: Says whether none is to be had any more. Defaults to what the pacer stops by.
    """

    def __init__(self, pacer: Pacer, is_over: Callable[[], bool] = lambda: False) -> None:
        self._pacer = pacer
        self._is_over = is_over
        self._made_at = 0.0

    def wait(self) -> bool:
        """Wait until a request may be made; False if none may be any more."""
        if self._is_over():
            return False
        made_at = self._pacer.wait_for_turn()
        if made_at is None or self._is_over():
            return False
        self._made_at = made_at
        return True

    def heed(self, answer: Answer) -> None:
        """Learn from the answer to the last request."""
        self._pacer.heed(answer, self._made_at)
