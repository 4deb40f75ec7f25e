"""Everything goes wrong at random, and nothing is lost; a client that loses is found out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "soak.py"
SHORT = ("--seed", "2026", "--minutes", "4", "--steps", "15")

pytestmark = [pytest.mark.long, pytest.mark.one_python]


def soak(*options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(TOOL), *SHORT, *options],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    (verdict,) = (line for line in done.stdout.splitlines() if line.startswith("VERDICT"))
    return done.returncode, verdict


def test_whatever_goes_wrong_nothing_is_lost_altered_or_repeated_beyond_measure() -> None:
    status, verdict = soak()
    assert status == 0, verdict
    assert "0 lost, 0 altered, 0 keys with two bodies" in verdict


def test_a_client_that_removes_what_it_has_not_sent_is_found_out() -> None:
    status, verdict = soak("--mutant", "remove-first")
    assert status == 1
    assert "acknowledged events are lost" in verdict
