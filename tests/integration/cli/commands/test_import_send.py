"""`import --send`: one command from a spool to SegOps, stopped and started as it comes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from support.events import numbers

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.sandbox import Sandbox
    from support.commands import Commands

pytestmark = pytest.mark.one_python


def lines_of(path: Path, count: int) -> Path:
    lines = (json.dumps({"user_id": "u", "event_type": "sold", "n": n}) for n in range(count))
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_the_summary_says_what_was_imported_sent_refused_rejected_and_waits(
    commands: Commands, sandbox: Sandbox
) -> None:
    file = lines_of(commands.home / "many.jsonl", 1200)
    with file.open("a") as more:
        more.write("\nno event\n")
    words = ("import", str(file), "--send")
    found = commands.json(*words, status=1)  # one was rejected
    assert found == {
        "stored": 1200,
        "rejected": 1,
        "stored_before": 0,
        "rejected_before": 0,
        "notes": {},
        "sent": 1200,
        "refused": 0,
        "waiting": 0,
    }
    assert sorted(numbers(sandbox)) == list(range(1200))
    said = commands(*words, status=1).stderr
    assert "0 sent, 0 refused, 0 wait" in said


def test_no_more_events_wait_than_may_however_large_the_file_is(
    commands: Commands, sandbox: Sandbox
) -> None:
    file = lines_of(commands.home / "many.jsonl", 3000)
    sandbox.stop()
    commands.env["SEGOPS_OVERFLOW_TIMEOUT"] = "0.1"
    words = ("import", str(file), "--send", "--max-queue-events", "700")
    said = commands(*words, status=1).stderr
    assert "is full" in said
    assert "700 stored; 0 sent, 700 wait. The same command goes on from there" in said
    assert commands.waiting() == 700
    sandbox.start()
    commands.env["SEGOPS_OVERFLOW_TIMEOUT"] = "30"
    commands(*words)
    assert sorted(numbers(sandbox)) == list(range(3000))


@pytest.mark.long
def test_it_waits_for_room_as_long_as_segops_takes_something(
    commands: Commands, sandbox: Sandbox
) -> None:
    file = lines_of(commands.home / "many.jsonl", 1000)
    commands.env["SEGOPS_OVERFLOW_TIMEOUT"] = "3"  # less than it takes until there is room
    sandbox.faults(delay=0.7)
    commands("import", str(file), "--send", "--max-queue-events", "500", "--batch-size", "100")
    assert sorted(numbers(sandbox)) == list(range(1000))
    assert max(each["queued"] for each in sandbox.requests()) == 100


@pytest.mark.long
def test_it_waits_for_room_while_segops_asks_for_patience(
    commands: Commands, sandbox: Sandbox
) -> None:
    file = lines_of(commands.home / "many.jsonl", 1500)
    commands.env["SEGOPS_OVERFLOW_TIMEOUT"] = "3"
    sandbox.faults(status=429, retry_after=7, times=1)
    commands(
        *("import", str(file), "--send", "--max-queue-events", "500"),
        *("--max-requests-per-minute", "6000"),  # else a share is searched for, in minutes
    )
    assert sorted(numbers(sandbox)) == list(range(1500))


def test_options_of_the_sending_are_those_of_drain(commands: Commands, sandbox: Sandbox) -> None:
    file = lines_of(commands.home / "many.jsonl", 900)
    commands(
        *("import", str(file), "--send", "--batch-size", "300"),
        *("--connections", "2", "--max-requests-per-minute", "6000"),
    )
    assert sorted(each["queued"] for each in sandbox.requests()) == [300, 300, 300]
    commands("import", str(file), "--send", "--max-requests-per-minute", "0", status=2)
    commands("import", str(file), "--send", "--only-between", "2-5", status=2)


def test_at_other_hours_it_imports_and_leaves_what_waits(
    commands: Commands, sandbox: Sandbox
) -> None:
    file = lines_of(commands.home / "many.jsonl", 30)
    now = datetime.now(timezone.utc).astimezone()
    later = f"{(now + timedelta(hours=2)):%H:%M}-{(now + timedelta(hours=3)):%H:%M}"
    around = f"{(now - timedelta(hours=1)):%H:%M}-{(now + timedelta(hours=1)):%H:%M}"
    commands("import", str(file), "--send", "--only-between", later, status=1)
    assert sandbox.requests() == []
    commands("import", str(file), "--send", "--only-between", around)
    assert sorted(numbers(sandbox)) == list(range(30))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_and_the_same_command_goes_on(
    commands: Commands, sandbox: Sandbox, number: signal.Signals
) -> None:
    file = lines_of(commands.home / "many.jsonl", 1500)
    words = ["import", str(file), "--send", "--max-queue-events", "500"]
    sandbox.faults(delay=30)
    with subprocess.Popen(
        [sys.executable, "-m", "segops_durable.cli", *words],
        env={**os.environ, **commands.env},
        stderr=subprocess.PIPE,
        text=True,
    ) as job:
        assert sandbox.wait_for_request(60)  # it is in the midst of both
        job.send_signal(number)
        _, said = job.communicate(timeout=60)
    assert job.returncode == 1, said
    assert "The same command goes on from there" in said
    assert "Traceback" not in said
    sandbox.faults()
    commands(*words)
    assert sorted(set(numbers(sandbox))) == list(range(1500))
    assert sandbox.summary()["conflicting_keys"] == 0
