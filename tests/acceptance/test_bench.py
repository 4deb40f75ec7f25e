"""The benchmarks run, and what they found can be compared with what they find later."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import segops_durable

TOOL = Path(__file__).parents[2] / "tools" / "bench.py"
SMALL = ("--events", "32", "--rounds", "2", "--lines", "200")

pytestmark = [pytest.mark.long, pytest.mark.one_python]


def bench(*options: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, str(TOOL), *options],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_runs_that_are_saved_are_shown_side_by_side(tmp_path: Path) -> None:
    history = tmp_path / "made" / "history.jsonl"
    printed = [bench(*SMALL, "--save", str(history)) for _ in range(2)]
    runs = [json.loads(line) for line in history.read_text().splitlines()]
    assert len(runs) == 2
    for run, text in zip(runs, printed, strict=True):
        assert run["version"] == segops_durable.__version__
        assert run["sqlite"] == sqlite3.sqlite_version
        assert run["commit"]
        assert len(run["ratios"]) == 4
        for name, ratio in run["ratios"].items():
            (line,) = (each for each in text.splitlines() if each.startswith(name))
            assert f" {ratio:.2f} " in line
    head, *rows = bench("--compare", str(history)).splitlines()
    assert head.split()[:5] == ["date", "version", "commit", "python", "sqlite"]
    assert [row.split()[0] for row in rows] == [run["date"] for run in runs]
    for row, run in zip(rows, runs, strict=True):
        assert row.split()[5:] == [f"{ratio:.2f}" for ratio in run["ratios"].values()]


def test_where_nothing_was_saved_it_says_so(tmp_path: Path) -> None:
    assert "--save makes one" in bench("--compare", str(tmp_path / "none.jsonl"), status=2)
