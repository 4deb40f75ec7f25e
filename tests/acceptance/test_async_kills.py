"""Processes with an event loop, killed for real; the parent remembers what they acknowledged."""

from __future__ import annotations

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

KILLS = 30
BATCH = 20

PRODUCER = """
import anyio, os, sys
from segops_durable.aio import AsyncSegOpsClient

url, path, life, loop = sys.argv[1:]

async def main():
    client = AsyncSegOpsClient(url, "sk_test", queue_path=path, flush_interval=0.01)

    async def produce(task):
        for number in range(100_000):
            name = f"{life}-{task}-{number}"
            await client.track(user_id="u", event_type="page_viewed", payload={"name": name})
            os.write(1, (name + "\\n").encode())

    async with anyio.create_task_group() as tasks:
        for task in range(8):
            tasks.start_soon(produce, task)

anyio.run(main, backend=loop)
"""


@pytest.mark.long
def test_thirty_kills_at_random_instants_lose_nothing_that_a_task_was_told_is_stored(
    sandbox: Sandbox, queue_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    chance = random.Random(2026)
    sandbox.faults(delay=0.002)  # so that a batch is in flight most of the time
    acknowledged: list[str] = []
    for life in range(KILLS):
        loop = ("asyncio", "trio")[life % 2]
        command = [sys.executable, "-c", PRODUCER, sandbox.url, str(queue_path), str(life), loop]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as producer:
            assert producer.stdout is not None
            lines = [producer.stdout.readline() for _ in range(chance.randrange(1, 300))]
            producer.kill()
            lines += producer.stdout.readlines()
            acknowledged += b"".join(lines).decode().split()
    sandbox.faults()
    assert make_client().flush(timeout=60).ok
    received = Counter(row["event"]["payload"]["name"] for row in sandbox.events())
    assert len(acknowledged) > KILLS
    assert set(acknowledged) - set(received) == set()
    assert sum(received.values()) - len(received) <= KILLS * BATCH
    assert sandbox.summary()["conflicting_keys"] == 0
