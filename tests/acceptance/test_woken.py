"""Processes that wake each other, killed and stopped at random."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

STEPS = 60
STEP_SECONDS = 0.3
BATCH = 20

PRODUCER = """
import os, sys, threading
from segops_durable import SegOpsClient
from segops_durable.delivery import knocking

knocking.LOOK_SECONDS = 0.1
url, path, life = sys.argv[1:]
client = SegOpsClient(url, "sk_test", queue_path=path, flush_interval=600, on_error=lambda e: None)

def flush():
    while True:
        client.flush(timeout=1)
        threading.Event().wait(0.05)

threading.Thread(target=flush, daemon=True).start()
number = 0
while True:
    name = f"{life}-{number}"
    client.track(user_id="u", event_type="e", payload={"name": name})
    os.write(1, (name + "\\n").encode())
    number += 1
    threading.Event().wait(0.005)
"""


class Producer:
    """A process that tracks and flushes, and what it said it had stored."""

    def __init__(self, url: str, queue_path: Path, life: int) -> None:
        command = [sys.executable, "-c", PRODUCER, url, str(queue_path), str(life)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
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
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing can be stopped")
@pytest.mark.timeout(180)
def test_four_processes_killed_and_stopped_at_random_lose_nothing_and_repeat_a_batch_each(
    sandbox: Sandbox, queue_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    chance = random.Random(2026)
    lives = 4
    producers = [Producer(sandbox.url, queue_path, life) for life in range(lives)]
    acknowledged: list[str] = []
    pace = threading.Event()
    for _ in range(STEPS):
        stopped = chance.choice(producers)
        stopped.process.send_signal(signal.SIGSTOP)
        pace.wait(STEP_SECONDS * chance.uniform(0.2, 4))  # longer than one is deaf, or shorter
        stopped.process.send_signal(signal.SIGCONT)
        if chance.random() < 0.5:
            acknowledged += producers.pop(chance.randrange(len(producers))).kill()
            producers.append(Producer(sandbox.url, queue_path, lives))
            lives += 1
    for producer in producers:
        acknowledged += producer.kill()
    assert make_client().flush(timeout=60).ok
    received = Counter(row["event"]["payload"]["name"] for row in sandbox.events())
    assert len(acknowledged) > 100
    assert set(acknowledged) <= set(received)
    assert sum(received.values()) - len(received) <= (STEPS + lives) * BATCH
    assert sandbox.summary()["conflicting_keys"] == 0
