"""Many processes, killed at random; and a million events that wait."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
import zlib
from collections import Counter
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import pytest

from support.events import leave

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

KILLS = 50
KILL_EVERY = 30
"""So many events after the last kill, whoever stored them: those that begin are killed as well."""

MILLION = 1_000_000

PRODUCER = """
import os, sys, threading
from segops_durable import Event, SegOpsClient

url, path, life = sys.argv[1:]
client = SegOpsClient(url, "sk_test", queue_path=path, flush_interval=0.05, batch_size=500)

def produce(thread):
    number = 0
    while True:
        name = f"{life}-{thread}-{number}"
        client.track(Event("u", "e", payload={"name": name}))
        os.write(1, (name + "\\n").encode())
        number += 1
        threading.Event().wait(0.005)

for thread in range(8):
    threading.Thread(target=produce, args=(thread,), daemon=True).start()
threading.Event().wait()
"""


class Producer:
    """A process of eight threads, and what it said it had stored."""

    def __init__(self, url: str, queue_path: Path, life: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PRODUCER, url, str(queue_path), str(life)],
            stdout=subprocess.PIPE,
        )
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.decode().strip())

    def kill(self) -> list[str]:
        self.process.kill()
        self._reader.join()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.said


@pytest.mark.long
@pytest.mark.timeout(180)
def test_four_processes_of_eight_threads_killed_fifty_times_lose_nothing(
    sandbox: Sandbox,
    queue_path: Path,
    make_client: Callable[..., SegOpsClient],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    chance = random.Random(2026)
    lives = 4
    producers = [Producer(sandbox.url, queue_path, life) for life in range(lives)]
    acknowledged: list[str] = []

    def stored() -> int:
        return len(acknowledged) + sum(len(each.said) for each in producers)

    def has_stored(count: int) -> bool:
        return stored() >= count

    for _ in range(KILLS):
        wait_until(partial(has_stored, stored() + KILL_EVERY))
        acknowledged += producers.pop(chance.randrange(len(producers))).kill()
        producers.append(Producer(sandbox.url, queue_path, lives))
        lives += 1
    for producer in producers:
        acknowledged += producer.kill()
    client = make_client(batch_size=500)
    assert client.flush(timeout=60).ok
    with closing(sqlite3.connect(queue_path)) as file:
        assert file.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    received = Counter(row["event"]["payload"]["name"] for row in sandbox.events())
    assert len(acknowledged) >= KILLS * KILL_EVERY
    assert set(acknowledged) <= set(received)
    assert sum(received.values()) - len(received) <= (KILLS + 4) * 500
    assert sandbox.summary()["conflicting_keys"] == 0


MEASURE = """
import resource, sys
from segops_durable import Event, SegOpsClient

url, path = sys.argv[1:]
client = SegOpsClient(url, "sk_test", queue_path=path, max_retries=0, on_error=lambda error: None)
for number in range(100):
    client.track(Event("u", "e", payload={"n": number}))
client.flush(timeout=30)
stats = client.stats()
client.shutdown(0)
print(stats.pending, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def measure(url: str, path: Path) -> tuple[int, int]:
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, url, str(path)], capture_output=True, check=True
    )
    pending, kilobytes = result.stdout.split()
    return int(pending), int(kilobytes)


@pytest.mark.long
def test_a_million_waiting_events_cost_no_memory(
    sandbox: Sandbox, tmp_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    sandbox.faults(status=503)
    empty, full = tmp_path / "empty.db", tmp_path / "full.db"
    leave(make_client(queue_path=full))
    with closing(sqlite3.connect(full)) as file:
        file.create_function("crc", 1, zlib.crc32, deterministic=True)
        file.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?),"
            ' event(data) AS (SELECT CAST(\'{"user_id":"u","event_type":"e","payload":'
            "{\"n\":' || i || '}}' AS BLOB) FROM n)"
            " INSERT INTO queue_outbox (data, timestamp, crc, identity)"
            " SELECT data, 1.5, crc(data), '' FROM event",
            (MILLION,),
        )
        file.commit()
    pending, with_many = measure(sandbox.url, full)
    assert pending == MILLION + 100
    pending, with_none = measure(sandbox.url, empty)
    assert pending == 100
    assert with_many - with_none < 5 * 1024
