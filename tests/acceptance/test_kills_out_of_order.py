"""Kills where batches are of the newest events, and of those that go first: as with any."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

KILLS = 8
BATCH = 30

PRODUCER = """
import os, sys, threading
from segops_durable import SegOpsClient

url, path, life = sys.argv[1:]
order = {"newest_share": 0.4, "catch_up_batch_size": 30}
client = SegOpsClient(url, "sk_test", queue_path=path, flush_interval=0.01, batch_size=10, **order)

def produce(thread):
    for number in range(100_000):
        name = f"{life}-{thread}-{number}"
        priority = ("normal", "high", "normal", "low")[number % 4]
        client.track(user_id="u", event_type="e", payload={"name": name}, priority=priority)
        os.write(1, (name + "\\n").encode())

for thread in range(3):
    threading.Thread(target=produce, args=(thread,), daemon=True).start()
produce(3)
"""


@pytest.mark.long
@pytest.mark.one_python
def test_kills_lose_nothing_and_repeat_one_batch_at_most_under_its_key(
    sandbox: Sandbox, queue_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    chance = random.Random(2026)
    sandbox.faults(delay=0.01)  # a backlog grows, and a batch is in flight most of the time
    acknowledged: list[str] = []
    for life in range(KILLS):
        command = [sys.executable, "-c", PRODUCER, sandbox.url, str(queue_path), str(life)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as producer:
            assert producer.stdout is not None
            lines = [producer.stdout.readline() for _ in range(chance.randrange(100, 900))]
            producer.kill()
            lines += producer.stdout.readlines()
            acknowledged += b"".join(lines).decode().split()
    sandbox.faults()
    client = make_client(newest_share=0.4, catch_up_batch_size=BATCH)
    assert client.flush(timeout=120).ok
    rows = sandbox.events()
    received = Counter(row["event"]["payload"]["name"] for row in rows)
    assert set(acknowledged) - set(received) == set()
    assert sum(received.values()) - len(received) <= KILLS * BATCH
    summary = sandbox.summary()
    assert summary["repeated_keys"] <= KILLS
    assert summary["conflicting_keys"] == 0
    keys = {(row["event"]["payload"]["name"], row["idempotency_key"]) for row in rows}
    assert len(keys) == len(received)  # whatever came twice came under the same key
