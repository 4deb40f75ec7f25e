"""A million lines, a job runner that kills: each line is queued once."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LINES = 1_000_000
KILLS = 10
MOST_MEMORY = 150 << 20

IMPORT = """
import sys
from segops_durable.cli.commands import run
run(sys.argv[1:], standalone_mode=False)
with open("/proc/self/status") as status:  # rusage has the peak of whoever started it as well
    (peak,) = [line.split()[1] for line in status if line.startswith("VmHWM")]
print(int(peak) * 1024)
"""


def stored(queue_path: Path) -> int:
    """How many lines the import has come to, as another process sees it."""
    try:
        with closing(sqlite3.connect(f"{queue_path.as_uri()}?mode=ro", uri=True)) as file:
            found = file.execute("SELECT position FROM checkpoints").fetchone()
    except sqlite3.OperationalError:  # it is not there yet
        return 0
    return json.loads(found[0])["stored"] if found else 0


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_a_million_lines_killed_ten_times_are_queued_once_each(
    tmp_path: Path, queue_path: Path
) -> None:
    source = tmp_path / "sales.jsonl"
    with source.open("w") as file:
        for number in range(LINES):
            file.write(
                f'{{"email":"user-{number}@example.org","event_type":"sold","n":{number}}}\n'
            )
    chance = random.Random(2026)
    command = [sys.executable, "-c", IMPORT, "import", str(source), "--map", "user_id=email"]
    environment = {
        "SEGOPS_API_URL": "http://127.0.0.1:9",
        "SEGOPS_API_KEY": "sk_test",
        "SEGOPS_QUEUE_PATH": str(queue_path),
        "HOME": str(tmp_path),
    }
    goals = sorted(chance.randrange(LINES * 9 // 10) for _ in range(KILLS))
    pause = random.Random(1)
    for goal in goals:
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as job:
            while stored(queue_path) < goal:
                assert job.poll() is None, "it ended by itself"
            deadline = time.monotonic() + pause.random() / 20  # some instant of a transaction
            while time.monotonic() < deadline:
                continue
            job.kill()
    assert 0 < stored(queue_path) < LINES
    last = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert int(last.stdout) < MOST_MEMORY, last.stdout
    n = "json_extract(CAST(data AS TEXT), '$.payload.n')"
    with closing(sqlite3.connect(queue_path)) as outbox:
        sql = f"SELECT count(*), count(DISTINCT {n}), min({n}), max({n}) FROM queue_outbox"
        assert outbox.execute(sql).fetchone() == (LINES, LINES, 0, LINES - 1)
