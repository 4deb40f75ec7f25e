"""The rates that the devices of a fleet learn on one plan, by a clock that is moved."""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from itertools import count, repeat
from statistics import mean
from typing import TYPE_CHECKING

import pytest

from segops_durable.api import Rate
from segops_durable.delivery.backoff import Pause
from segops_durable.sandbox.settings import COUNTINGS, PLANS, RateLimit
from support.clock import MovableClock

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE = 60.0
SEEDS = 20


class Run:
    """Devices with a backlog each, on one plan, from cold; counts what is answered to them.

    All that is drawn is drawn from one generator: a seed gives the same run each time.

    Args:
        make: Makes the rate of a device.
        size: How many there are.
        limit: Calls a minute that the plan has.
        counting: How SegOps counts them.
        seed: Of the generator.
        minutes: How long it lasts.
        calls: How many of each device are to be let through. Defaults to more than there can be.

    Attributes:
        requests: How many came, by the minute.
        refused: How many of those were told 429.
        ended_at: When the last call was let through.
    """

    def __init__(
        self,
        make: Callable[[random.Random, int], Rate],
        size: int,
        limit: int,
        *,
        counting: str,
        seed: int,
        minutes: int = 12,
        calls: float = math.inf,
    ) -> None:
        self.requests: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self.ended_at = 0.0
        self._left = [calls] * size
        self._limit = limit
        self._minutes = minutes
        chance = random.Random(seed)
        self._clock = MovableClock(0.0, chance)
        self._rates = [make(chance, size) for _ in range(size)]
        self._pauses = [Pause(5.0, self._clock) for _ in range(size)]
        segops = RateLimit(self._clock.monotonic)
        number = count()  # decides between two at one time
        queue = [(chance.uniform(0, 5.0), next(number), device, False) for device in range(size)]
        heapq.heapify(queue)
        while queue and queue[0][0] < minutes * MINUTE:
            now, _, device, has_waited = heapq.heappop(queue)
            self._clock.move(now - self._clock.monotonic())
            turn = self._rates[device].turn(now)
            if turn <= now:
                self._rates[device].take(now, has_waited=has_waited)
                self._hear(device, now, segops.seconds_to_wait(limit, counting))
                turn = now + self._pauses[device].remaining + chance.uniform(0.01, 0.1)
                has_waited = False
            else:
                has_waited = True
            if self._left[device]:
                heapq.heappush(queue, (turn, next(number), device, has_waited))

    def _hear(self, device: int, now: float, wait: int) -> None:
        minute = int(now // MINUTE)
        self.requests[minute] += 1
        if wait:
            self.refused[minute] += 1
            self._rates[device].refuse(now, now, wait)
            self._pauses[device].lengthen()
            self._pauses[device].order(wait)
        else:
            self._left[device] -= 1
            self.ended_at = now
            self._rates[device].let_through(now)
            self._pauses[device].reset()

    def share_refused(self, first: int, end: int | None = None) -> float:
        """Of the requests of some minutes."""
        minutes = range(first, end or self._minutes)
        return sum(map(self.refused.get, minutes, repeat(0))) / sum(
            map(self.requests.__getitem__, minutes)
        )

    def share_used(self, first: int, end: int | None = None) -> float:
        """Of what the plan had in them."""
        minutes = range(first, end or self._minutes)
        through = sum(self.requests[each] - self.refused[each] for each in minutes)
        return through / (self._limit * len(minutes))


def learned(chance: random.Random, _size: int) -> Rate:
    return Rate(None, draw=chance.uniform)


def shared(chance: random.Random, size: int) -> Rate:
    return Rate(60 / size, is_one_of_many=True, draw=chance.uniform)


@pytest.mark.parametrize("counting", COUNTINGS)
@pytest.mark.parametrize("make", [learned, shared])
def test_forty_devices_on_a_plan_of_sixty_calls_use_it_and_are_hardly_refused(
    make: Callable[[random.Random, int], Rate], counting: str
) -> None:
    runs = [Run(make, 40, 60, counting=counting, seed=seed) for seed in range(SEEDS)]
    refused = sorted(run.share_refused(2) for run in runs)
    assert mean(refused) <= 0.01
    assert refused[SEEDS * 9 // 10 - 1] <= 0.02
    assert refused[-1] <= 0.04
    assert min(run.share_used(2) for run in runs) >= 0.8


@pytest.mark.parametrize("counting", COUNTINGS)
@pytest.mark.parametrize(
    ("size", "plan"), [(1, "free"), (1, "business"), (4, "free"), (40, "starter")]
)
def test_whatever_the_fleet_and_the_plan_it_is_used_once_that_is_learned(
    size: int, plan: str, counting: str
) -> None:
    runs = [Run(learned, size, PLANS[plan] or 0, counting=counting, seed=seed) for seed in range(5)]
    assert mean(run.share_refused(5) for run in runs) <= 0.015
    assert max(run.share_refused(5) for run in runs) <= 0.03
    assert mean(run.share_used(5) for run in runs) >= 0.8
    assert min(run.share_used(5) for run in runs) >= 0.7


@pytest.mark.one_python
@pytest.mark.parametrize("counting", COUNTINGS)
@pytest.mark.parametrize(("size", "limit"), [(40, 60), (250, 25), (1000, 60)])
def test_hours_later_a_fleet_still_uses_its_plan_however_many_devices_share_a_call(
    size: int, limit: int, counting: str
) -> None:
    hours = 4
    run = Run(learned, size, limit, counting=counting, seed=1, minutes=60 * hours)
    refused = [run.share_refused(60 * each, 60 * each + 60) for each in range(hours)]
    assert refused[-1] <= (0.02 if size < limit else refused[0] / 3)
    assert run.share_used(60) >= 0.7
    assert min(run.share_used(60 * each, 60 * each + 60) for each in range(hours)) >= 0.65


@pytest.mark.one_python
@pytest.mark.parametrize("counting", COUNTINGS)
@pytest.mark.parametrize(("size", "limit", "calls"), [(250, 25, 3), (1000, 60, 3)])
def test_the_last_of_a_fleet_do_not_wait_for_those_who_are_done(
    size: int, limit: int, calls: int, counting: str
) -> None:
    run = Run(learned, size, limit, counting=counting, seed=1, minutes=600, calls=calls)
    assert run.ended_at <= 1.6 * size * calls / limit * MINUTE
    assert sum(run.refused.values()) <= 13 * size


@pytest.mark.parametrize("counting", COUNTINGS)
@pytest.mark.parametrize(
    ("size", "limit", "share"), [(1, 60, 0.5), (40, 60, 1.38), (250, 25, 0.092)]
)
def test_a_fleet_that_had_nothing_to_send_for_hours_is_told_once_and_goes_on(
    size: int, limit: int, share: float, counting: str
) -> None:
    def idle(chance: random.Random, _size: int) -> Rate:
        rate = Rate(None, draw=chance.uniform)
        rate.go_on_from({"wait": 0.0, "per_minute": share, "spare": 0.0, "unused": 3 * 3600}, 0.0)
        return rate

    run = Run(idle, size, limit, counting=counting, seed=1, minutes=60)
    assert sum(run.refused[minute] for minute in range(5)) <= 3 * size
    assert run.share_refused(5) <= (0.02 if size < limit else 0.25)
    assert run.share_used(5) >= 0.6
