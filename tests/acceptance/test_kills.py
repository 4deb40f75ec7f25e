"""Real processes, killed for real; the parent remembers what they acknowledged."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import textwrap
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
import os, sys, threading
from segops_durable import SegOpsClient

url, path, life = sys.argv[1:]
client = SegOpsClient(url, "sk_test", queue_path=path, flush_interval=0.01)

def produce(thread):
    for number in range(100_000):
        name = f"{life}-{thread}-{number}"
        client.track(user_id="u", event_type="page_viewed", payload={"name": name})
        os.write(1, (name + "\\n").encode())

for thread in range(3):
    threading.Thread(target=produce, args=(thread,), daemon=True).start()
produce(3)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], stdout=subprocess.PIPE
    )


def names(sandbox: Sandbox) -> list[str]:
    return [row["event"]["payload"]["name"] for row in sandbox.events()]


@pytest.mark.long
def test_thirty_kills_at_random_instants_lose_nothing_and_repeat_one_batch_each(
    sandbox: Sandbox, queue_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    chance = random.Random(2026)
    sandbox.faults(delay=0.002)  # so that a batch is in flight most of the time
    acknowledged: list[str] = []
    for life in range(KILLS):
        with start(PRODUCER, sandbox.url, queue_path, life) as producer:
            assert producer.stdout is not None
            lines = [producer.stdout.readline() for _ in range(chance.randrange(1, 300))]
            producer.kill()
            lines += producer.stdout.readlines()
            acknowledged += b"".join(lines).decode().split()
    sandbox.faults()
    assert make_client().flush(timeout=60).ok
    received = Counter(names(sandbox))
    assert set(acknowledged) - set(received) == set()
    assert sum(received.values()) - len(received) <= KILLS * BATCH
    summary = sandbox.summary()
    assert summary["repeated_keys"] <= KILLS
    keys_of = {
        (row["event"]["payload"]["name"], row["idempotency_key"]) for row in sandbox.events()
    }
    assert len(keys_of) == len(received)  # whatever came twice came under the same key
    assert summary["conflicting_keys"] == 0


def test_a_batch_killed_in_flight_is_sent_again_with_the_same_bytes_and_key(
    sandbox: Sandbox,
    queue_path: Path,
    make_client: Callable[..., SegOpsClient],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    sandbox.faults(delay=0.3)
    with start(PRODUCER, sandbox.url, queue_path, 0) as producer:
        assert sandbox.wait_for_request(30)
        producer.kill()
    wait_until(sandbox.requests)  # the server accepts it, and nobody hears the answer
    sandbox.faults()
    assert make_client(batch_size=500).flush(timeout=60).ok
    first, again = sandbox.requests()[:2]
    assert first["answer"] == again["answer"] == "202"
    assert (first["idempotency_key"], first["body_sha256"]) == (
        again["idempotency_key"],
        again["body_sha256"],
    )
    repeats = Counter(names(sandbox)).values()
    assert sum(repeats) - len(repeats) == first["queued"] <= BATCH


OFFLINE = """
import sys
from segops_durable import SegOpsClient

url, path, patience = sys.argv[1:]
with SegOpsClient(url, "sk_test", queue_path=path, shutdown_timeout=float(patience)) as client:
    for number in range(50):
        client.track(user_id="u", event_type="page_viewed", payload={"name": str(number)})
print(client.shutdown().pending)
"""


def test_what_was_tracked_offline_for_a_whole_life_is_delivered_by_the_next(
    sandbox: Sandbox, queue_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    sandbox.stop()
    with start(OFFLINE, sandbox.url, queue_path, 0.2) as process:
        output, _ = process.communicate(timeout=60)
    assert output.split() == [b"50"]
    sandbox.start()
    assert make_client().flush(timeout=30).ok
    assert names(sandbox) == [str(number) for number in range(50)]


FORGETFUL = """
import sys
from segops_durable import SegOpsClient

client = SegOpsClient(sys.argv[1], "sk_test", queue_path=sys.argv[2])
client.track(user_id="u", event_type="page_viewed", payload={"name": "last words"})
"""


def test_a_normal_exit_makes_the_effort_of_a_shutdown(sandbox: Sandbox, queue_path: Path) -> None:
    with start(FORGETFUL, sandbox.url, queue_path) as process:
        assert process.wait(timeout=60) == 0
    assert names(sandbox) == ["last words"]


def test_many_processes_append_and_one_sends(
    sandbox: Sandbox, queue_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    processes = [start(OFFLINE, sandbox.url, queue_path, 30) for _ in range(4)]
    for process in processes:
        with process:
            process.communicate(timeout=60)
    assert make_client().flush(timeout=30).ok
    assert Counter(names(sandbox)) == {str(number): 4 for number in range(50)}
    assert sandbox.summary()["repeated_keys"] == 0


@pytest.mark.long
def test_the_demo_loses_nothing(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "segops_durable", "demo"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    counts = dict(re.findall(r"^(\w+)[^:\n]*: ([\d,]+)$", result.stdout, re.MULTILINE))
    assert (counts["acknowledged"], counts["lost"]) == ("2,000", "0")
    assert result.stderr == ""
