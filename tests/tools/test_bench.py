"""The benchmarks run, what they found can be compared later, and idle contenders are found out."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from speed import jobs, peers
from speed.rows import claims
from speed.server import Server

import segops_durable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOOL = Path(__file__).parents[2] / "tools" / "bench.py"
SMALL = ("--smoke", "--here")

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


def test_a_run_has_every_row_and_is_shown_beside_those_that_were_saved(tmp_path: Path) -> None:
    history, found = tmp_path / "made" / "history.jsonl", tmp_path / "found.json"
    printed = bench(*SMALL, "--save", str(history), "--json", str(found))
    document = json.loads(found.read_text())
    assert [row["name"] for row in document["rows"]] == list(claims())
    assert document["machine"]["sqlite"] == sqlite3.sqlite_version
    for row in document["rows"]:
        assert row["what"] in printed
        assert (row["median"] is None) == (row["note"] != "" and row["rounds"] == [])
    shown = bench("--from", str(found), "--save", str(history))
    assert "What was to be reached" in shown
    run, again = [json.loads(line) for line in history.read_text().splitlines()]
    assert (run["version"], run["ratios"]) == (segops_durable.__version__, again["ratios"])
    assert len(run["ratios"]) > 10
    head, *rows = bench("--compare", str(history)).splitlines()
    assert head.split()[:5] == ["date", "version", "commit", "python", "sqlite"]
    for row, saved in zip(rows, (run, again), strict=True):
        figures = [f"{ratio:.2f}" for ratio in saved["ratios"].values()]
        assert row.split() == [saved["date"], *row.split()[1:5], *figures]


def test_where_nothing_was_saved_it_says_so(tmp_path: Path) -> None:
    assert "--save makes one" in bench("--compare", str(tmp_path / "none.jsonl"), status=2)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def idle(peer: peers.Peer) -> peers.Peer:
    @contextmanager
    def run(directory: Path, url: str) -> Iterator[Callable[[], object]]:
        with peer.run(directory, url):
            yield lambda: None

    return replace(peer, run=run)


@pytest.mark.parametrize("name", ["track", "track, live", "persist-queue put", "official segops"])
def test_a_contender_that_has_stored_nothing_is_found_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Server, name: str
) -> None:
    busy, lazy = tmp_path / "busy", tmp_path / "lazy"
    busy.mkdir()
    lazy.mkdir()
    assert jobs.append(busy, name, server.url, 8, 2).each > 0
    monkeypatch.setitem(peers.PEERS, name, idle(peers.PEERS[name]))
    with pytest.raises(jobs.NotStoredError, match="of 8 events"):
        jobs.append(lazy, name, server.url, 8, 2)
