"""A job's position is committed with its rows: what is killed between goes on where it was."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import (
    ConfigurationError,
    InvalidEventError,
    QueueFullError,
    SegOpsClient,
    StorageError,
)
from segops_durable.outbox.records import schema
from support.events import leave, numbered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


def test_a_position_is_read_back_also_after_a_restart(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.stop()
    client = make_client()
    assert client.checkpoint("job") is None
    for position in (7, "a/b", {"file": "x", "line": 3}, [1, None], 0):
        assert client.track_many(numbered(3), checkpoint=("job", position)) == 3
        assert client.checkpoint("job") == position
    client.track_many([], checkpoint=("other", 1))
    leave(client)
    again = make_client()
    assert (again.checkpoint("job"), again.checkpoint("other")) == (0, 1)
    assert again.stats().pending == 15


def test_neither_rows_nor_position_are_stored_if_one_cannot_be(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.stop()
    client = make_client(max_queue_events=1000)
    client.track_many(numbered(600), checkpoint=("job", 600))
    with pytest.raises(QueueFullError):
        client.track_many(numbered(600), checkpoint=("job", 1200))  # more than one chunk
    with pytest.raises(InvalidEventError):
        client.track_many([*numbered(10), {"user_id": "u"}], checkpoint=("job", 611))
    assert client.checkpoint("job") == 600
    assert client.stats().pending == 600


def test_the_rows_go_if_the_position_cannot_be_written(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.stop()
    client = make_client()
    broken = "INSERT INTO checkpoints VALUES (?, ?, ?, ?, 'one too many')"
    monkeypatch.setitem(schema.PUT, "checkpoints", broken)
    with pytest.raises(StorageError, match="values were supplied"):
        client.track_many(numbered(3), checkpoint=("job", 3))
    assert client.stats().pending == 0


@pytest.mark.parametrize(
    ("checkpoint", "problem"),
    [
        (("", 1), "name that is a text, got ''"),
        ((5, 1), "name that is a text, got 5"),
        (("job", {1, 2}), r"position that JSON can carry .* got \{1, 2\}"),
        (("job", float("nan")), "position that JSON can carry"),
    ],
)
def test_what_is_no_checkpoint_is_refused_and_nothing_is_stored(
    make_client: Callable[..., SegOpsClient], checkpoint: Any, problem: str
) -> None:
    client = make_client()
    with pytest.raises(ConfigurationError, match=problem):
        client.track_many(numbered(3), checkpoint=checkpoint)
    assert client.stats().pending + client.stats().accepted_total == 0
    with pytest.raises(ConfigurationError, match="name"):
        client.checkpoint("")


def test_a_checkpoint_survives_damage_to_the_rows(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    sandbox.stop()
    client = make_client()
    client.track_many(numbered(2000), checkpoint=("job", 2000))
    leave(client)
    with closing(sqlite3.connect(queue_path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name = 'tally'").fetchone()
    data = bytearray(queue_path.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = b"\xaa" * 4096
    queue_path.write_bytes(data)
    again = make_client()
    assert again.checkpoint("job") == 2000
    assert again.stats().pending == 2000


JOB = """
import sys
from segops_durable import SegOpsClient
client = SegOpsClient(sys.argv[1], "sk_test", queue_path=sys.argv[2], on_error=lambda error: None)
position = client.checkpoint("job") or 0
while position < int(sys.argv[3]):
    rows = range(position, position + 700)
    events = [{"user_id": "u", "event_type": "row_read", "payload": {"n": n}} for n in rows]
    position = rows[-1] + 1
    client.track_many(events, checkpoint=("job", position))
    print(position, flush=True)
client.shutdown(0)
"""


@pytest.mark.long
def test_a_job_that_is_killed_again_and_again_queues_each_row_once(
    sandbox: Sandbox, queue_path: Path
) -> None:
    sandbox.stop()
    chance = random.Random(2026)
    rows = 28_000
    command = [sys.executable, "-c", JOB, sandbox.url, str(queue_path), str(rows)]
    for _ in range(6):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:
            assert job.stdout is not None
            for _ in range(chance.randrange(1, 6)):
                job.stdout.readline()
            job.kill()
    subprocess.run(command, check=True, capture_output=True)
    with closing(sqlite3.connect(queue_path)) as file:
        found = file.execute(
            "SELECT count(*), count(DISTINCT json_extract(CAST(data AS TEXT), '$.payload.n')),"
            " min(json_extract(CAST(data AS TEXT), '$.payload.n')),"
            " max(json_extract(CAST(data AS TEXT), '$.payload.n')) FROM queue_outbox"
        ).fetchone()
    assert found == (rows, rows, 0, rows - 1)
