"""The SegOps of a simulation: one plan's limit for all devices, and a look at what came."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fleet_simulation.wire import Answer, Request
from segops_durable.sandbox.settings import RateLimit

if TYPE_CHECKING:
    from fleet_simulation.scenario import Scenario

_ACCEPTED, _THROTTLED = 202, 429


class SegOps:
    """Answers requests in the order of their arrival, and remembers them.

    Args:
        scenario: Whose limit it is.

    Attributes:
        seconds: Requests by the whole second in which they came.
        accepted_at: When each request that was accepted came.
        throttled: How many were not.
        done_at: When each device had its last event accepted.
        delivered: Events accepted, in the order of `accepted_at`.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._limit = scenario.limit
        self._now = 0.0
        self._rate = RateLimit(lambda: self._now)
        self._may_send_at: dict[int, float] = {}
        self._digests: dict[str, bytes] = {}
        self._seen: set[tuple[int, int]] = set()
        self._faults: Counter[str] = Counter()
        self.seconds: Counter[int] = Counter()
        self.accepted_at: list[float] = []
        self.delivered: list[int] = []
        self.throttled: int = 0
        self.done_at: dict[int, float] = {}

    def serve(self, request: Request) -> Answer:
        """Answer a request; they come in the order of their times."""
        self._faults["the clock went back"] += request.at < self._now
        self._now = request.at
        self.seconds[int(request.at)] += 1
        self._check(request)
        wait = self._rate.seconds_to_wait(self._limit)
        back_at = request.at + request.back
        if wait:
            self.throttled += 1
            self._may_send_at[request.device] = back_at + wait
            return Answer(back_at, request.device, _THROTTLED, wait, 0)
        events = {(request.device, each) for each in request.events}
        self._faults["an event came again"] += len(request.events) - len(events - self._seen)
        self._seen |= events
        self.accepted_at.append(request.at)
        self.delivered.append(len(events))
        self.done_at[request.device] = request.at
        return Answer(back_at, request.device, _ACCEPTED, None, len(events))

    def problems(self, expected: int, left: int) -> list[str]:
        """What must not be.

        Args:
            expected: Events that were tracked.
            left: Of those, what the devices say that they still have.
        """
        self._faults["an event is missing"] = expected - len(self._seen)
        self._faults["an event is left on a device"] = left
        return [f"{what}: {count:,}" for what, count in self._faults.items() if count]

    def _check(self, request: Request) -> None:
        too_early = request.sent_at < self._may_send_at.get(request.device, 0.0) - _ROUNDING
        self._faults["a request before its Retry-After was over"] += too_early
        known = self._digests.setdefault(request.key, request.digest)
        self._faults["a key came with two bodies"] += known != request.digest


_ROUNDING = 1e-6
