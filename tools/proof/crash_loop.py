"""Kill clients at random instants, again and again, and count what is lost.

Processes with a client track events, and note each one whose `track` has returned. They are
killed with SIGKILL: while they open the outbox, at any instant, while a batch is under way, and
between its answer and its removal. Several outboxes go on side by side, and at times two
processes share one. At the end a last client sends what is left. Then every event that was noted
must have arrived, as it was tracked; a kill may have repeated one batch; and no key may have come
with two bodies.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from proof.judge import Findings, judge
from proof.life import (
    BATCH,
    MUTANTS,
    Life,
    drain,
    live,
    open_client,
    prepare_to_fork,
    troubles_below,
)
from proof.recorder import Recorder, Reply, Request, read

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

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


class Lane:
    """One outbox, its server, and the processes that come and go.

    Args:
        number: Which lane.
        home: Where its files are.
        chance: What decides.
        options: Of the command.
    """

    def __init__(
        self, number: int, home: Path, chance: random.Random, options: argparse.Namespace
    ) -> None:
        self._number = number
        self._home = home
        self._chance = chance
        self._options = options
        self._lives: list[BaseProcess] = []
        self._born = 0
        self._trap: Trap | None = None
        self._recorder = Recorder(home / "requests", self._came, lambda: self._notice("answered"))
        self.kills: Counter[str] = Counter()

    def run(self, kills: int, deadline: float) -> Findings:
        """Kill so many, send what is left, and judge."""
        with self._recorder:
            while self.kills.total() < kills and time.monotonic() < deadline:
                self._live_and_kill()
            for each in self._lives:
                each.kill()
                each.join()
            self.kills["at the end"] += len(self._lives)
            client = open_client(replace(self._life(), mutant=""))
            waiting = drain(client)
            client.shutdown()
        life = self._life()
        acknowledged = life.notes.read_text(encoding="ascii").split() if life.notes.exists() else []
        allowed = self.kills.total() * BATCH * self._options.max_in_flight
        return judge(acknowledged, read(self._home / "requests"), allowed, waiting=waiting)

    def _came(self, _request: Request) -> Reply:
        self._notice("in flight")
        return Reply()

    def _notice(self, instant: str) -> None:
        trap = self._trap
        if trap is not None:
            trap.notice(instant)

    def _life(self) -> Life:
        name = f"{self._number}-{self._born}"
        threads = self._chance.choice((1, 1, 2))
        options = self._options
        return Life(
            self._recorder.url, self._home, name, threads, options.mutant, options.max_in_flight
        )

    def _live_and_kill(self) -> None:
        chance = self._chance
        context = multiprocessing.get_context("forkserver")
        for _ in range(chance.choice((1, 1, 1, 2)) - len(self._lives)):
            self._born += 1
            process = context.Process(target=live, args=(self._life(),))
            process.start()
            self._lives.append(process)
        instant = chance.choice(_INSTANTS)
        seconds = {
            "opening": chance.uniform(0, _OPENING_SECONDS),
            "anywhere": chance.uniform(0, _LIFE_SECONDS),
        }.get(instant, _MOST_SECONDS_TO_WAIT)
        delay = chance.uniform(0, _ANSWERED_SECONDS) if instant == "answered" else 0
        victim = self._lives.pop(chance.randrange(len(self._lives)))
        trap = self._trap = Trap(victim, instant, chance.randrange(1, 7), delay)
        if not trap.is_sprung.wait(seconds):
            trap.spring()
        victim.join()
        self.kills[instant] += 1


def run(options: argparse.Namespace, seed: int) -> int:
    """Let the lanes kill; print what came of it, and return the status."""
    prepare_to_fork()
    kills, count = options.kills, min(options.lanes, options.kills)
    start = time.monotonic()
    deadline = start + options.seconds
    with tempfile.TemporaryDirectory(prefix="segops-crash-loop-", dir=options.directory) as home:
        lanes = []
        for number in range(count):
            place = Path(home, str(number))
            place.mkdir()
            chance = random.Random(f"{seed}-{number}")  # noqa: S311 - it can be repeated
            lanes.append(Lane(number, place, chance, options))
        shares = [kills // count + (number < kills % count) for number in range(count)]
        with ThreadPoolExecutor(count) as pool:
            all_found = pool.map(lambda lane, share: lane.run(share, deadline), lanes, shares)
            found = sum(all_found, Findings())
        troubles = troubles_below(Path(home))
    by_instant: Counter[str] = sum((lane.kills for lane in lanes), Counter())
    done = by_instant.total()
    of_what = ", ".join(f"{number:,} {instant}" for instant, number in by_instant.items())
    print(f"{done:,} kills in {time.monotonic() - start:.0f} s: {of_what}")
    print(f"{found.arrived:,} events arrived")
    problems = [f"{len(troubles)} lives ended by themselves: {troubles[0]}"] if troubles else []
    in_flight = f", {options.max_in_flight} in flight" if options.max_in_flight > 1 else ""
    if done < kills:
        problems.append(f"only {done:,} of {kills:,} kills within {options.seconds:.0f} s")
    line, status = found.verdict(f"{done:,} kills, seed {seed}{in_flight}", problems)
    print(line)
    return status


def main(arguments: list[str]) -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(
        prog="crash_loop.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Status 0: nothing was lost. 1: something was, or it could not be shown.",
    )
    parser.add_argument("--kills", type=int, default=KILLS, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, help="of what is decided by chance (a new one)")
    parser.add_argument("--lanes", type=int, default=3, help="outboxes at a time (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3600, help="at most (%(default)s)")
    parser.add_argument(
        "--max-in-flight",
        type=int,
        default=1,
        metavar="N",
        help="batches that a client may send at once, and a kill repeat (%(default)s)",
    )
    parser.add_argument("--directory", help="where the outboxes go: the disk to try")
    parser.add_argument(
        "--mutant", choices=MUTANTS, default="", help="a client that loses: see it found"
    )
    options = parser.parse_args(arguments)
    if min(options.kills, options.lanes, options.max_in_flight) < 1:
        parser.error("--kills, --lanes and --max-in-flight must be at least 1")
    seed = random.randrange(2**32) if options.seed is None else options.seed  # noqa: S311 - no secret
    print(f"seed {seed}", flush=True)
    sys.setswitchinterval(0.0005)  # so that a kill is not late by the turn of another thread
    return run(options, seed)
