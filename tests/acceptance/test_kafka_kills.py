"""Consumers of Kafka, killed with SIGKILL between any two steps: each message is queued once."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.kafka import TOPIC, Broker, clicks, numbers_in
from support.kafka_broker import library
from support.killed_consumers import APART, STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES = 4_000
PARTITIONS = 3
BAD_EVERY = 7  # so that each batch has some
TIMES = (1, 2, 5)
RANDOM_KILLS = 25

pytestmark = [
    pytest.mark.long,
    pytest.mark.one_python,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="it forks"),
    pytest.mark.skipif(library() is None, reason="there is no mock broker in this build"),
]


class Consumers:
    """Starts consumers of a topic, in a directory of theirs.

    Attributes:
        queue_path: Their outbox.
        rejects: Their file of rejects.
    """

    def __init__(self, home: Path, servers: str) -> None:
        self.queue_path = home / "outbox.db"
        self.rejects = home / "rejects.jsonl"
        self._servers = servers
        self._server = subprocess.Popen(
            [sys.executable, "-m", "support.killed_consumers"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, step: str = "", count: int = 0, *, after: float = 0, apart: bool = False) -> bool:
        """Run one; say whether it was killed."""
        request = {
            "queue_path": str(self.queue_path),
            "servers": self._servers,
            "rejects": str(self.rejects),
            "step": step,
            "count": count,
            "after": after,
            "apart": apart,
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(f"{json.dumps(request)}\n")
        self._server.stdin.flush()
        status = int(self._server.stdout.readline())
        told = Path(f"{self.queue_path}.stderr")
        assert status in {0, -signal.SIGKILL}, told.read_text()
        return status != 0

    def close(self) -> None:
        """End it."""
        self._server.communicate()


@contextmanager
def consumers_of(home: Path) -> Iterator[Consumers]:
    """A topic with messages, some of which are no events, and what consumes it."""
    broker = Broker()
    broker.create(TOPIC, PARTITIONS)
    for partition in range(PARTITIONS):
        numbers = range(partition, MESSAGES, PARTITIONS)
        values = [
            b"bad" if n % BAD_EVERY == 0 else click
            for n, click in zip(numbers, clicks(numbers), strict=True)
        ]
        broker.produce(values, partition=partition)
    consumers = Consumers(home, broker.servers)
    try:
        yield consumers
    finally:
        consumers.close()
        broker.close()


def bad_in(rejects: Path) -> Counter[tuple[str, int]]:
    """How often each message stands in a file of rejects."""
    found = map(json.loads, rejects.read_text().splitlines())
    return Counter((each["file"], each["line"]) for each in found)


EVENTS = [n for n in range(MESSAGES) if n % BAD_EVERY]
BAD = [(f"{TOPIC}/{n % PARTITIONS}", n // PARTITIONS) for n in range(0, MESSAGES, BAD_EVERY)]


def test_killed_between_any_two_steps_each_message_is_queued_once_and_each_bad_one_is_told_once(
    tmp_path: Path,
) -> None:
    with consumers_of(tmp_path) as consumers:
        points = [(step, count) for step in STEPS for count in TIMES if count == 1 or step not in {
            "before it is closed", "before the partitions are assigned",
        }]  # fmt: skip
        last = [point for point in points if point[0] == "before it is closed"]
        killed = [consumers.run(*point) for point in points if point not in last]
        assert all(killed), [point for point, was in zip(points, killed, strict=False) if not was]
        so_far = numbers_in(consumers.queue_path)
        assert 0 < len(so_far) < len(EVENTS), "there was nothing left to be killed at"
        assert set(so_far.values()) == {1}
        assert consumers.run(*last[0])
        assert not consumers.run()
        assert numbers_in(consumers.queue_path) == Counter(EVENTS)
        assert bad_in(consumers.rejects) == Counter(BAD)


def test_killed_at_any_instant_each_message_is_queued_once(tmp_path: Path) -> None:
    chance = random.Random(2026)
    with consumers_of(tmp_path) as consumers:
        for _ in range(RANDOM_KILLS):
            consumers.run(after=0.05 + chance.random() / 5)
        assert not consumers.run()
        assert numbers_in(consumers.queue_path) == Counter(EVENTS)
        assert bad_in(consumers.rejects) == Counter(BAD)


def test_a_checkpoint_that_is_stored_apart_from_the_rows_is_found_out(tmp_path: Path) -> None:
    with consumers_of(tmp_path) as consumers:
        for count in TIMES:  # the first one is where the partitions begin
            assert consumers.run(APART, count, apart=True)
        assert not consumers.run(apart=True)
        found = numbers_in(consumers.queue_path)
        assert set(found) == set(EVENTS)
        assert max(found.values()) > 1
