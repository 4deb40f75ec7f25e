"""Kills at random lose nothing; and a client that would lose something is found out."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "crash_loop.py"

pytestmark = [pytest.mark.long, pytest.mark.one_python]


def crash_loop(*options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(TOOL), "--seed", "2026", *options],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    (verdict,) = (line for line in done.stdout.splitlines() if line.startswith("VERDICT"))
    return done.returncode, verdict


def test_kills_at_random_lose_nothing_alter_nothing_and_repeat_a_batch_each_at_most() -> None:
    status, verdict = crash_loop("--kills", "60")
    assert status == 0, verdict
    assert "0 lost, 0 altered, 0 keys with two bodies" in verdict


def test_with_several_batches_in_flight_a_kill_repeats_as_many_at_most_and_loses_nothing() -> None:
    status, verdict = crash_loop("--kills", "60", "--max-in-flight", "4")
    assert status == 0, verdict
    assert "4 in flight" in verdict


@pytest.mark.parametrize("mutant", ["ack-first", "remove-first", "remove-more"])
def test_a_client_that_loses_events_is_found_out(mutant: str) -> None:
    status, verdict = crash_loop("--kills", "60", "--mutant", mutant)
    assert status == 1
    assert "acknowledged events are lost" in verdict


def test_whoever_kills_the_tool_leaves_no_process_of_it_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-u", str(TOOL), "--kills", "100000", "--directory", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline().startswith(b"seed")
        while not list(tmp_path.glob("*/*/acknowledged")):
            assert tool.poll() is None
            threading.Event().wait(0.05)
        tool.kill()
        tool.stdout.read()  # it ends once nobody has it open any more
