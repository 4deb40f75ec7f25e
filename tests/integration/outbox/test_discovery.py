"""What was left under another address or key is found, and told of."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable import SegOpsClient, StrandedEventsError
from segops_durable.outbox.discovery import find_leftovers
from support.events import numbered, numbers
from support.outboxes import events
from support.stranded import TYPO, strand, use

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.outbox import Outbox
    from segops_durable.sandbox import Sandbox
    from support.commands import Commands


def test_leftovers_under_another_key_or_address_are_found(
    open_outbox: Callable[..., Outbox], default_directory: Path
) -> None:
    mine = default_directory / "outbox-mine.db"
    open_outbox(default_directory / "outbox-other.db").commit.append(events(3))
    open_outbox(default_directory / "outbox-empty.db")
    elsewhere = default_directory / "outbox-elsewhere.db"
    open_outbox(elsewhere, api_url="https://eu.segops.ai").commit.append(events(1))
    (default_directory / "outbox-garbage.db").write_bytes(b"no database" * 100)
    (default_directory / "outbox-new.db").touch()
    open_outbox(mine).commit.append(events(1))
    found = {each.path.stem: each for each in find_leftovers(mine, is_thorough=False)}
    assert {name: each.waiting for name, each in found.items()} == {
        "outbox-other": 3,
        "outbox-elsewhere": 1,
        "outbox-garbage": 0,
    }
    assert found["outbox-elsewhere"].api_url == "https://eu.segops.ai"
    assert "not a database" in found["outbox-garbage"].problem


pytestmark = pytest.mark.one_python


def test_a_client_is_told_of_events_under_an_address_with_a_typo_and_adopt_brings_them(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, commands: Commands
) -> None:
    path = strand(make_client)
    told = [each for each in use(make_client) if isinstance(each, StrandedEventsError)]
    assert [(each.path, each.api_url, each.waiting) for each in told] == [(str(path), TYPO, 3)]
    assert f"segops-durable adopt {path}" in told[0].hint
    assert "3 events" in commands("adopt", str(path), "--yes").output
    assert use(make_client) == []
    assert numbers(sandbox) == [0, 1, 2]


@pytest.mark.parametrize("command", ["status", "drain", "config", "doctor"])
def test_commands_tell_of_events_that_wait_elsewhere(
    make_client: Callable[..., SegOpsClient], commands: Commands, command: str
) -> None:
    path = strand(make_client)
    use(make_client)
    output = commands(command).output
    assert f"3 events wait in {path}, tracked for {TYPO}" in output
    assert f"segops-durable adopt {path}" in output


def test_status_tells_of_events_elsewhere_also_where_there_is_no_outbox_yet(
    make_client: Callable[..., SegOpsClient], commands: Commands
) -> None:
    path = strand(make_client)
    assert f"segops-durable adopt {path}" in commands("status", status=1).output


def test_programs_read_where_else_events_wait(
    make_client: Callable[..., SegOpsClient], commands: Commands
) -> None:
    path = strand(make_client, api_key="sk_other")
    use(make_client)
    [found] = commands.json("status")["elsewhere"]
    assert (found["outbox"], found["api_url"], found["waiting"]) == (str(path), TYPO, 3)
    assert commands.json("config")["elsewhere"] == [found]


def test_events_of_a_directory_that_moved_are_told_of(
    make_client: Callable[..., SegOpsClient],
    commands: Commands,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    path = strand(make_client)
    assert ".local" in path.parts
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "later"))
    commands.env["XDG_STATE_HOME"] = str(tmp_path / "later")
    assert [type(each) for each in use(make_client)] == [StrandedEventsError]
    commands("adopt", "--yes")
    assert commands.json("status")["waiting"] == 3


@pytest.mark.skipif(os.name == "nt", reason="there is no sudo")
def test_a_command_under_sudo_tells_of_the_events_of_who_called_it(
    make_client: Callable[..., SegOpsClient],
    commands: Commands,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    path = strand(make_client)
    monkeypatch.setattr(
        "segops_durable.outbox.places.homes_of_users", lambda: ["", str(tmp_path / "state")]
    )
    (tmp_path / "root").mkdir()
    for name in ("HOME", "XDG_STATE_HOME"):
        commands.env[name] = str(tmp_path / "root")
    assert f"3 events wait in {path}" in commands("status", status=1).output


def test_looking_at_a_neighbour_leaves_no_file_beside_it(
    make_client: Callable[..., SegOpsClient], commands: Commands
) -> None:
    path = strand(make_client)
    before = sorted(each.name for each in path.parent.iterdir())
    commands("status", status=1)
    assert sorted(each.name for each in path.parent.iterdir()) == before


def test_events_in_the_log_of_a_neighbour_that_was_killed_are_told_of(
    make_client: Callable[..., SegOpsClient], commands: Commands
) -> None:
    script = "import os; from segops_durable import SegOpsClient\n"
    script += f"client = SegOpsClient({TYPO!r}, 'sk_test')\n"
    script += "client.track(user_id='u', event_type='t')\nos.kill(os.getpid(), 9)\n"
    env = {**os.environ, **commands.env}
    subprocess.run([sys.executable, "-c", script], env=env, check=False, timeout=60)
    [told] = use(make_client)
    assert isinstance(told, StrandedEventsError)
    assert told.waiting == 1


def test_what_a_running_client_sends_from_its_own_outbox_is_not_told_of(
    make_client: Callable[..., SegOpsClient], commands: Commands
) -> None:
    running = make_client("sk_other", api_url=TYPO, queue_path=None, max_retries=0)
    running.track(*numbered(1))
    running.flush(timeout=60)
    assert use(make_client) == []
    result = commands("adopt", str(running._outbox.path), "--yes", status=1)
    assert "Stop it" in result.output
    assert running.stats().pending == 1


@pytest.mark.parametrize("damage", ["garbage", "schema", "meta", "shape", "pipe", "directory"])
def test_a_damaged_neighbour_is_told_of_and_keeps_nobody_from_working(
    make_client: Callable[..., SegOpsClient], commands: Commands, damage: str
) -> None:
    path = strand(make_client)
    if damage == "garbage":
        path.write_bytes(b"no database" * 1000)
    elif damage in {"pipe", "directory"}:
        path.unlink()
        (os.mkfifo if damage == "pipe" else os.mkdir)(path)
    else:
        with closing(sqlite3.connect(path)) as file:
            file.execute("PRAGMA writable_schema = ON")
            sql = {
                "schema": "UPDATE sqlite_master SET sql = CAST(x'fffe' AS TEXT)",
                "meta": "UPDATE meta SET value = x'fffe'",
                "shape": "ALTER TABLE meta DROP COLUMN value",
            }[damage]
            file.execute(sql)
            file.commit()
    [told] = [each for each in use(make_client) if isinstance(each, StrandedEventsError)]
    assert "cannot be read" in str(told)
    assert str(path) in commands("doctor").output
    commands("adopt", str(path), "--yes", status=2 if damage == "directory" else 1)
