"""An import of mended rejects in a process of its own, which is killed between transactions."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient

pytestmark = pytest.mark.one_python

PROGRAM = """
import os, signal, sys
from segops_durable import SegOpsClient
from segops_durable.intake.imports import mended_lines
from segops_durable.intake.intake import Intake

queue, rejects, when = sys.argv[1:]
mended_lines._ROWS = 3
append, count = Intake.append, 0

def append_or_die(*given, **named):
    global count
    count += 1
    if when == "before" and count == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    append(*given, **named)
    if when == "after":
        os.kill(os.getpid(), signal.SIGKILL)

Intake.append = append_or_die
client = SegOpsClient(api_key="sk_test", api_url="http://127.0.0.1:9", queue_path=queue)
client.import_rejected(rejects)
os._exit(0)
"""


@pytest.mark.long
def test_mended_records_are_stored_once_each_though_every_import_of_them_is_killed(
    make_client: Callable[..., SegOpsClient], tmp_path: Path
) -> None:
    client = make_client(api_url="http://127.0.0.1:9", api_key="sk_test")
    path, rejects = tmp_path / "a.jsonl", tmp_path / "rejects.jsonl"
    lines: list[dict[str, Any]] = [
        {"user_id": "u", "event_type": "sold", "occurred_at": "soon", "n": n} for n in range(12)
    ]
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    assert client.import_events(path, rejects=rejects).rejected == 12
    rejects.write_text(rejects.read_text().replace("soon", "2026-01-31T12:00:00Z"))
    queue = client._outbox.path
    client.shutdown()
    kills = 0
    while True:
        when = ("after", "before")[kills % 2]
        command = [sys.executable, "-c", PROGRAM, str(queue), str(rejects), when]
        status = subprocess.run(command, check=False, timeout=60).returncode
        if status != -signal.SIGKILL:
            break
        kills += 1
        assert kills < 20, "it does not come further"
    assert (status, kills > 1) == (0, True)
    again = make_client(api_url="http://127.0.0.1:9", api_key="sk_test", queue_path=queue)
    found = [json.loads(row.data)["payload"]["n"] for row in again._outbox.waiting.peek(100)]
    assert sorted(found) == list(range(12))
