"""Kill a relay at random instants while callers post to it, and count what is lost.

Callers post batches, and post each again, under its Idempotency-Key, until it is answered. The
relay is killed with SIGKILL: while it opens its outbox, at any instant, while a batch is under way
to SegOps, and between SegOps' answer and the removal. Each 25th batch SegOps refuses with 429:
without a `Retry-After`, with seconds, with a date. At the end the outbox is emptied. Every event of
a batch that was answered must have arrived, as it was posted; a kill may have repeated one batch to
SegOps, and a batch that was posted again is stored once.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import socket
import sys
import tempfile
import time
from collections import Counter, defaultdict
from email.utils import formatdate
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from proof.crash_loop import Trap
from proof.judge import judge
from proof.lane import seed_of
from proof.life import BATCH, Life, drain, open_client, prepare_to_fork
from proof.recorder import Recorder, Reply, read
from proof.relay_life import MUTANTS, Caller, RelayLife, live

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from proof.judge import Findings
    from proof.recorder import Request

_INSTANTS = ("opening", "anywhere", "in flight", "answered")
_OPENING_SECONDS, _LIFE_SECONDS, _ANSWERED_SECONDS = 0.15, 0.5, 0.002
_MOST_SECONDS_TO_WAIT = 10.0
_MOST_BATCHES = 12
_REFUSED_EVERY = 25


class RelayProof:
    """A relay, its SegOps and its callers.

    Args:
        home: Where its files go.
        options: Of the command.
        chance: What decides.
    """

    def __init__(self, home: Path, options: argparse.Namespace, chance: random.Random) -> None:
        self._chance = chance
        self._options = options
        self._requests = home / "requests"
        self._recorder = Recorder(self._requests, self._came, lambda: self._notice("answered"))
        self._trap: Trap | None = None
        self._numbers = count(1)
        self.refused: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self._life = RelayLife(
            self._recorder.url,
            home / "queue" / "outbox.db",
            f"127.0.0.1:{_free_port()}",
            options.mutant,
        )
        self._home = home
        self.callers: list[Caller] = []
        self.stored_twice = 0

    def run(self) -> Findings:
        """Kill, send what is left, and judge."""
        with self._recorder:
            url = f"http://{self._life.listen}"
            self.callers = [Caller(url, number) for number in range(self._options.callers)]
            while self.kills.total() < self._options.kills:
                self._live_and_kill()
            last = self._start()  # those who have posted in vain hear an answer
            for each in self.callers:
                each.end()
            last.kill()
            last.join()
            self.kills["at the end"] += 1
            return self._judged()

    def _judged(self) -> Findings:
        client = open_client(Life(self._recorder.url, self._home, "none"))
        waiting = drain(client)
        client.shutdown()
        self.stored_twice = _under_two_keys(self._requests)
        acknowledged = [name for each in self.callers for name in each.acknowledged]
        allowed = self.kills.total() * BATCH
        return judge(acknowledged, read(self._requests), allowed, waiting=waiting)

    def _start(self) -> BaseProcess:
        context = multiprocessing.get_context("forkserver")
        process = context.Process(target=live, args=(self._life,))
        process.start()
        return process

    def _live_and_kill(self) -> None:
        chance = self._chance
        instant = chance.choice(_INSTANTS)
        seconds = {
            "opening": chance.uniform(0, _OPENING_SECONDS),
            "anywhere": chance.uniform(0, _LIFE_SECONDS),
        }.get(instant, _MOST_SECONDS_TO_WAIT)
        delay = chance.uniform(0, _ANSWERED_SECONDS) if instant == "answered" else 0
        victim = self._start()
        countdown = chance.randrange(1, _MOST_BATCHES)
        trap = self._trap = Trap(victim, instant, countdown, delay)
        if not trap.is_sprung.wait(seconds):
            trap.spring()
        victim.join()
        self.kills[instant] += 1

    def _came(self, _request: Request) -> Reply:
        self._notice("in flight")
        number = next(self._numbers)
        if number % _REFUSED_EVERY:
            return Reply()
        kinds: dict[str, str | None] = {
            "without Retry-After": None,
            "with seconds": "0.1",
            "with a date": formatdate(time.time() + 1, usegmt=True),
        }
        kind = [*kinds][number // _REFUSED_EVERY % len(kinds)]
        self.refused[kind] += 1
        return Reply(429, retry_after=kinds[kind])

    def _notice(self, instant: str) -> None:
        if self._trap is not None:
            self._trap.notice(instant)


def _under_two_keys(requests: Path) -> int:
    """How many events came under more than one key, and so were in the outbox more than once."""
    keys: dict[str, set[str]] = defaultdict(set)
    for record in read(requests):
        for event in json.loads(record.body.encode("latin-1"))["events"]:
            keys[event["payload"]["name"]].add(record.key)
    return sum(len(each) > 1 for each in keys.values())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def main(arguments: list[str]) -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(
        prog="relay_kills.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Status 0: nothing was lost. 1: something was, or it could not be shown.",
    )
    parser.add_argument("--seed", type=int, help="of what is decided by chance (a new one)")
    parser.add_argument("--kills", type=int, default=50, help="how many (%(default)s)")
    parser.add_argument("--callers", type=int, default=4, help="that post at once (%(default)s)")
    parser.add_argument("--directory", help="where the outbox goes: the disk to try")
    parser.add_argument(
        "--mutant", choices=MUTANTS, default="", help="a relay that loses: see it found"
    )
    options = parser.parse_args(arguments)
    if min(options.kills, options.callers) < 1:
        parser.error("--kills and --callers must be at least 1")
    seed = seed_of(options)
    sys.setswitchinterval(0.0005)  # so that a kill is not late by the turn of another thread
    prepare_to_fork("proof.relay_life")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="segops-relay-", dir=options.directory) as home:
        proof = RelayProof(Path(home), options, random.Random(seed))  # noqa: S311 - it can be repeated
        found = proof.run()
    repeated = sum(each.repeated + each.refused for each in proof.callers)
    of_what = ", ".join(f"{number:,} {instant}" for instant, number in proof.kills.items())
    done = proof.kills.total()
    print(f"{done:,} kills in {time.monotonic() - start:.0f} s: {of_what}")
    print(f"{found.arrived:,} events arrived; {repeated:,} requests were made again")
    refused = ", ".join(f"{number:,} {kind}" for kind, number in proof.refused.items())
    print(f"429 to batches: {refused or 'none'}")
    twice = proof.stored_twice
    problems = [f"{twice:,} events that were posted again were stored again"] if twice else []
    line, status = found.verdict(f"{done:,} kills of a relay, seed {seed}", problems)
    print(line)
    return status
