"""Damage at random: the tool's own verdicts, over a short run of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "fuzz_damage.py"


@pytest.mark.long
@pytest.mark.timeout(600)  # the machine may be busy; alone it takes a few seconds
def test_no_damage_keeps_a_client_from_starting_alters_an_event_or_loses_one_in_silence() -> None:
    command = [sys.executable, str(TOOL), "--trials", "120", "--seed", "12", "--details"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all" in done.stdout
