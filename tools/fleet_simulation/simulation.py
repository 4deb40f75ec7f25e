"""Through time, in steps: each part of the fleet goes on by itself, and SegOps answers all.

A request takes `SHORTEST` at least to come, and so does its answer. So whatever happens within a
step of that length cannot matter to anybody else before it is over: the parts run side by side,
and yet all comes in one order, however many there are.
"""

from __future__ import annotations

import heapq
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fleet_simulation.groups import Elsewhere, SimulationError, open_groups
from fleet_simulation.segops import SegOps
from fleet_simulation.wire import SHORTEST, Answer, Request

if TYPE_CHECKING:
    from fleet_simulation.groups import Part
    from fleet_simulation.scenario import Scenario, Variant

_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of one's own is made there
_NEVER = float("inf")


class Outcome(NamedTuple):
    """What came of a variant.

    Attributes:
        segops: What has answered.
        problems: What must not be.
        seconds: That it took, by the clock on the wall.
    """

    segops: SegOps
    problems: list[str]
    seconds: float


class Simulation:
    """A fleet with one variant of its clients.

    Args:
        scenario: What happens to it.
        parts: The fleet.
    """

    def __init__(self, scenario: Scenario, parts: list[Part]) -> None:
        self._scenario = scenario
        self._parts = parts
        self._next = [0.0] * len(parts)
        self._coming: list[Request] = []
        self._answers: list[list[Answer]] = [[] for _ in parts]
        self.segops: SegOps = SegOps(scenario)

    def run(self) -> None:
        """Go on until nothing is to happen any more.

        Raises:
            SimulationError: It does not come to an end.
        """
        while (begin := self._begin_of_step()) < _NEVER:
            if begin > self._scenario.most_seconds:
                raise SimulationError(f"{begin / 86_400:.0f} days, and not all is delivered")
            self._step(begin + SHORTEST)

    def _begin_of_step(self) -> float:
        arrival = self._coming[0].at if self._coming else _NEVER
        return min(arrival, *self._next)

    def _step(self, end: float) -> None:
        # all that comes within this step has left before it, and is answered behind it
        while self._coming and self._coming[0].at < end:
            answer = self.segops.serve(heapq.heappop(self._coming))
            part = answer.device % len(self._parts)
            self._answers[part].append(answer)
            self._next[part] = min(self._next[part], answer.at)
        due = [each for each, at in enumerate(self._next) if at < end]
        for each in due:
            self._parts[each].ask(end, self._answers[each])
            self._answers[each] = []
        for each in due:
            progress = self._parts[each].hear()
            self._next[each] = _NEVER if progress.next_at is None else progress.next_at
            for request in progress.requests:
                heapq.heappush(self._coming, request)


def simulate(scenario: Scenario, variant: Variant, *, processes: int | None = None) -> Outcome:
    """Have a fleet come back.

    Args:
        scenario: What happens to it.
        variant: How its clients are set up.
        processes: Between how many it is divided; nothing depends on it. Defaults to as many
            as it takes.

    Raises:
        SimulationError: It did not come to its end.
    """
    start = time.monotonic()
    place = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="segops-fleet-", dir=place) as home:
        parts = open_groups(scenario, variant, Path(home), processes)
        try:
            simulation = Simulation(scenario, parts)
            simulation.run()
            left = sum(each.close() for each in parts)
        except BaseException:
            for each in parts:
                if isinstance(each, Elsewhere):
                    each.kill()
            raise
    problems = simulation.segops.problems(scenario.devices * scenario.events, left)
    return Outcome(simulation.segops, problems, time.monotonic() - start)
