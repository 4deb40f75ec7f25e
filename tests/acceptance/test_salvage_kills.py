from __future__ import annotations

import errno
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from powercut import Disk, build, in_memory, read_log

from segops_durable.cli.commands import run as run_command
from segops_durable.outbox import Outbox
from segops_durable.outbox.disk.files import digest_of
from segops_durable.outbox.records.incidents import Incident
from segops_durable.outbox.store.replacing import new_file_of
from support.salvages import BESIDE, DRIVER, MEND

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 120
SETTLED = 20
STEP = 3  # 1 takes every operation, and three times as long


def run(tmp_path: Path, what: str, how: str, error: int) -> list[dict[str, Any]]:
    library = build(tmp_path)
    if library is None:
        pytest.skip("there is no C compiler, or this is not Linux")
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, tmp_path, what, how, str(STEP)],
        env={
            **os.environ,
            "LD_PRELOAD": str(library),
            "DISKFAULT_DIR": str(tmp_path / "queue"),
            "DISKFAULT_ERRNO": str(error),
        },
        stdout=subprocess.PIPE,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.long
@pytest.mark.parametrize("what", ["header", "page", "log"])
@pytest.mark.parametrize(
    ("how", "error"),
    [("DISKFAULT_KILL", 0), ("DISKFAULT_STOP", errno.ENOSPC), ("DISKFAULT_STOP", errno.EIO)],
    ids=["killed", "full", "failing"],
)
def test_a_salvage_that_ends_before_any_operation_is_gone_on_with_at_the_next_start(
    tmp_path: Path, what: str, how: str, error: int
) -> None:
    trials = run(tmp_path, what, how, error)
    assert len(trials) > 15  # or it would prove nothing
    lossless = [trial for trial in trials if trial["first"] == "done"]
    expected = None
    for trial in reversed(trials):  # the last one was not interrupted
        second = trial["second"]
        where = f"before operation {trial['number']}: {trial}"
        assert isinstance(second, dict), where
        events = [text for text in second["sent"] if '"n":"' not in text]
        assert len(set(second["sent"])) == len(second["sent"]), where
        assert '{"n":"second"}' in second["sent"], where
        if expected is None:
            expected = set(events)
            assert len(expected) >= ROWS - SETTLED - 60
        assert set(events) == expected, where
        assert len(events) + len(second["dead"]) + second["lost"] == ROWS - SETTLED, where
        assert second["pending"] == 0, where
        assert second["again"] == [], where
        assert not any("salvage" in name for name in second["files"]), where
        told = [each for each in second["told"] if each[0] == "DamagedOutboxError"]
        if trial not in lossless:
            assert [each[2] for each in told] == [second["lost"]], where


@pytest.mark.long
def test_what_others_write_to_the_old_file_after_a_salvage_was_killed_is_not_left_behind(
    tmp_path: Path,
) -> None:
    library = build(tmp_path)
    if library is None:
        pytest.skip("there is no C compiler, or this is not Linux")
    done = subprocess.run(
        [sys.executable, "-c", BESIDE, tmp_path, str(STEP)],
        env={
            **os.environ,
            "LD_PRELOAD": str(library),
            "DISKFAULT_DIR": str(tmp_path / "queue"),
        },
        stdout=subprocess.PIPE,
        check=True,
    )
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(trials) > 15
    for trial in trials:
        assert set(range(1000, 1010)) <= set(trial["sent"]), trial
        assert len(set(trial["sent"])) == len(trial["sent"]), trial


@pytest.mark.long
@pytest.mark.parametrize(("what", "is_strict"), [("page", True), ("log", False)])
def test_a_power_cut_anywhere_in_a_salvage_loses_no_row_that_it_saves(
    tmp_path: Path, what: str, is_strict: bool
) -> None:
    library = build(tmp_path)
    if library is None:
        pytest.skip("there is no C compiler, or this is not Linux")
    queue_path, log = tmp_path / "queue" / "outbox.db", tmp_path / "operations"
    fill_and_spoil(queue_path, what)
    disk = Disk(is_strict=is_strict)
    for each in queue_path.parent.iterdir():
        disk.hold(str(each), each.read_bytes())
    subprocess.run(
        [sys.executable, "-c", MEND, queue_path],
        env={
            **os.environ,
            "LD_PRELOAD": str(library),
            "DISKFAULT_DIR": str(queue_path.parent),
            "DISKFAULT_LOG": str(log),
        },
        check=True,
    )
    saved = {row for row in rows_of(queue_path) if '"x"' in row}
    assert len(saved) > ROWS // 2
    cuts = 0
    for left in cuts_of(disk, log):
        with tempfile.TemporaryDirectory(dir=in_memory()) as place:
            for name, content in left.items():
                Path(place, Path(name).name).write_bytes(content)
            copy = Path(place, queue_path.name)
            Outbox(copy, api_url="https://api.segops.ai", key_fingerprint="k").close()
            found = rows_of(copy)
        assert saved <= set(found), sorted(left)
        assert len(set(found)) == len(found), sorted(left)
        cuts += 1
    assert cuts > 100


def fill_and_spoil(queue_path: Path, what: str) -> None:
    outbox = Outbox(queue_path, api_url="https://api.segops.ai", key_fingerprint="k")
    outbox.commit.append([b'{"n":%d,"x":"%s"}' % (n, b"y" * (n % 90)) for n in range(ROWS)])
    kept = {each: each.read_bytes() for each in queue_path.parent.iterdir()}
    outbox.close()
    if what == "log":  # it stays, as if the process had been killed
        for each, content in kept.items():
            each.write_bytes(content)
    spoilt = queue_path.with_name("outbox.db-wal") if what == "log" else queue_path
    data = bytearray(spoilt.read_bytes())
    if what == "log":
        data[len(data) // 3] ^= 1
    else:
        at = data.index(b'"n":99,') // 4096 * 4096
        data[at : at + 4096] = b"\xa5" * 4096
        data[5] ^= 4
    spoilt.write_bytes(data)


def cuts_of(disk: Disk, log: Path) -> Iterator[dict[str, bytes]]:
    """The disks that a power cut may leave, around all that decides what is on them."""
    chance = random.Random(2026)
    for operation in read_log(log):
        if operation.name.endswith(("-shm", ".sender", ".reserve")):
            continue
        is_turn = operation.kind in "srut"
        if is_turn:
            yield from (disk.after_cut(chance, keep) for keep in ("none", "all", "some"))
        disk.apply(operation)
        if is_turn:
            yield from (disk.after_cut(chance, keep) for keep in ("none", "all", "some"))


def rows_of(queue_path: Path) -> list[str]:
    with closing(sqlite3.connect(queue_path)) as file:
        return [row[0].decode() for row in file.execute("SELECT data FROM queue_outbox")]


def test_a_command_finds_an_outbox_whose_new_file_was_complete_and_not_yet_in_its_place(
    queue_path: Path,
) -> None:
    outbox = Outbox(queue_path, api_url="https://api.segops.ai", key_fingerprint="k")
    outbox.commit.append([b'{"n":1}'])
    outbox.close()
    aside = queue_path.with_name("outbox.db.damaged-20260131T120000")
    new = new_file_of(queue_path)
    shutil.copy(queue_path, new)
    incident = Incident(aside.name, digest_of(queue_path), "malformed", "1 waiting event", 1, 0)
    with closing(sqlite3.connect(new)) as file:
        incident.write(file)
        file.commit()
    queue_path.replace(aside)
    result = CliRunner().invoke(run_command, ["status", "--json", "--queue-path", str(queue_path)])
    assert result.exit_code == 0, result.output
    assert '"waiting":1' in result.stdout.replace(" ", "")
    assert "was damaged" in result.stderr
    assert queue_path.exists()
    assert not new.exists()
