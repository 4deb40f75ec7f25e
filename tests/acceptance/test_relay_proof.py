"""Kills of a relay under load lose nothing; and one that would lose something is found out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "relay_kills.py"

pytestmark = [pytest.mark.long, pytest.mark.one_python]


def relay_kills(*options: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, str(TOOL), "--seed", "2026", "--kills", "15", *options],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    (verdict,) = (line for line in done.stdout.splitlines() if line.startswith("VERDICT"))
    return done.returncode, verdict, done.stdout


def test_kills_of_a_relay_lose_nothing_that_was_answered_and_store_nothing_twice() -> None:
    status, verdict, told = relay_kills()
    assert status == 0, verdict
    (refused,) = (line for line in told.splitlines() if line.startswith("429 to batches"))
    assert all(kind in refused for kind in ("without Retry-After", "with seconds", "with a date"))
    assert "0 lost, 0 altered, 0 keys with two bodies" in verdict


@pytest.mark.parametrize(
    ("mutant", "words"),
    [
        ("answer-first", "acknowledged events are lost"),
        ("no-receipts", "events that were posted again were stored again"),
    ],
)
def test_a_relay_that_loses_or_doubles_events_is_found_out(mutant: str, words: str) -> None:
    status, verdict, _ = relay_kills("--mutant", mutant)
    assert status == 1
    assert words in verdict
