"""Kill clients at random instants, again and again, and count what is lost.

Processes with a client track events, and note each one whose `track` has returned. They are
killed with SIGKILL: while they open the outbox, at any instant, while a batch is under way, and
between its answer and its removal. Several outboxes go on side by side, and at times two
processes share one. At the end a last client sends what is left. Then every event that was noted
must have arrived, as it was tracked; a kill may have repeated one batch; and no key may have come
with two bodies.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from proof.lane import Lane, Place, parser_of, run_lanes, seed_of, temporary_home
from proof.life import BATCH, Life, prepare_to_fork
from proof.recorder import Recorder, Reply, Request

if TYPE_CHECKING:
    import argparse
    from multiprocessing.process import BaseProcess

    from proof.judge import Findings

KILLS = 1000
_INSTANTS = ("opening", "anywhere", "in flight", "answered")
_OPENING_SECONDS, _LIFE_SECONDS, _ANSWERED_SECONDS = 0.012, 0.1, 0.002
_MOST_SECONDS_TO_WAIT = 10.0


@dataclass
class Trap:
    """A process that is killed at an instant; the server's threads may spring it."""

    victim: BaseProcess
    instant: str
    countdown: int
    delay: float
    is_sprung: threading.Event = field(default_factory=threading.Event)

    def notice(self, instant: str) -> None:
        """Something happened on the wire; perhaps it is what was waited for."""
        if instant != self.instant or self.is_sprung.is_set():
            return
        self.countdown -= 1
        if self.countdown == 0:
            end = time.perf_counter() + self.delay
            while time.perf_counter() < end:
                pass  # a wait would wake up far too late
            self.spring()

    def spring(self) -> None:
        """Kill it."""
        self.victim.kill()
        self.is_sprung.set()


class CrashLane(Lane):
    """A lane whose processes are killed.

    Args:
        place: Where, and what decides.
    """

    def __init__(self, place: Place) -> None:
        recorder = Recorder(place.requests, self._came, lambda: self._notice("answered"))
        super().__init__(place, recorder)
        self._trap: Trap | None = None
        self.kills: Counter[str] = Counter()

    def run(self, kills: int, deadline: float) -> Findings:
        """Kill so many, send what is left, and judge."""
        with self.recorder:
            while self.kills.total() < kills and time.monotonic() < deadline:
                self._live_and_kill()
            for each in self.lives:
                each.kill()
                each.join()
            self.kills["at the end"] += len(self.lives)
            max_in_flight: int = self.place.options.max_in_flight
            return self.judge(lambda: self.kills.total() * BATCH * max_in_flight)

    def life(self) -> Life:
        """What the next process is told: how many threads."""
        return replace(super().life(), threads=self.place.chance.choice((1, 1, 2)))

    def _came(self, _request: Request) -> Reply:
        self._notice("in flight")
        return Reply()

    def _notice(self, instant: str) -> None:
        trap = self._trap
        if trap is not None:
            trap.notice(instant)

    def _live_and_kill(self) -> None:
        chance = self.place.chance
        self.fill(chance.choice((1, 1, 1, 2)))
        instant = chance.choice(_INSTANTS)
        seconds = {
            "opening": chance.uniform(0, _OPENING_SECONDS),
            "anywhere": chance.uniform(0, _LIFE_SECONDS),
        }.get(instant, _MOST_SECONDS_TO_WAIT)
        delay = chance.uniform(0, _ANSWERED_SECONDS) if instant == "answered" else 0
        victim = self.take()
        trap = self._trap = Trap(victim, instant, chance.randrange(1, 7), delay)
        if not trap.is_sprung.wait(seconds):
            trap.spring()
        victim.join()
        self.kills[instant] += 1


def run(options: argparse.Namespace, seed: int) -> int:
    """Let the lanes kill; print what came of it, and return the status."""
    prepare_to_fork()
    kills = options.kills
    options.lanes = count = min(options.lanes, kills)
    start = time.monotonic()
    deadline = start + options.seconds

    def run_lane(lane: CrashLane) -> Findings:
        return lane.run(kills // count + (lane.place.number < kills % count), deadline)

    with temporary_home("crash-loop", options) as home:
        lanes, (found, problems) = run_lanes(Path(home), options, seed, CrashLane, run_lane)
    by_instant: Counter[str] = sum((lane.kills for lane in lanes), Counter())
    done = by_instant.total()
    of_what = ", ".join(f"{number:,} {instant}" for instant, number in by_instant.items())
    print(f"{done:,} kills in {time.monotonic() - start:.0f} s: {of_what}")
    print(f"{found.arrived:,} events arrived")
    in_flight = f", {options.max_in_flight} in flight" if options.max_in_flight > 1 else ""
    if done < kills:
        problems.append(f"only {done:,} of {kills:,} kills within {options.seconds:.0f} s")
    line, status = found.verdict(f"{done:,} kills, seed {seed}{in_flight}", problems)
    print(line)
    return status


def main(arguments: list[str]) -> int:
    """Read the options and run."""
    parser = parser_of("crash_loop.py", __doc__, lanes=3)
    parser.add_argument("--kills", type=int, default=KILLS, help="how many (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3600, help="at most (%(default)s)")
    options = parser.parse_args(arguments)
    if min(options.kills, options.lanes, options.max_in_flight) < 1:
        parser.error("--kills, --lanes and --max-in-flight must be at least 1")
    seed = seed_of(options)
    sys.setswitchinterval(0.0005)  # so that a kill is not late by the turn of another thread
    return run(options, seed)
