"""The doctor looks, names the mend, and changes nothing until it is told to."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from support.commands import NOWHERE, Commands, closing_client
from support.events import numbered, numbers

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python


def test_the_doctor_finds_nothing_wrong_where_nothing_is(commands: Commands) -> None:
    commands("track", "ann", "x")
    found = [json.loads(line) for line in commands("doctor", "--json").stdout.splitlines()]
    assert {each["grade"] for each in found} <= {"ok", "note"}
    checks = {each["check"]: each for each in found}
    assert {"clock", "permissions", "file system", "free space", "damage", "server"} <= set(checks)
    assert checks["damage"]["text"] == "none in 1 waiting events"
    assert "drain" in checks["sender"]["mend"]


def test_the_doctor_names_what_is_wrong_and_the_mend(commands: Commands, sandbox: Sandbox) -> None:
    commands("track", "ann", "x")
    sandbox.configure(revoked_keys=["sk_test"])
    assert "failed  key: HTTP 401" in commands("doctor", status=1).output
    sandbox.faults(status=404)
    assert "Mend api_url" in commands("doctor", status=1).output
    sandbox.faults(portal=True)
    assert "captive portal" in commands("doctor", status=1).output
    sandbox.faults(status=503)
    assert "in trouble: HTTP 503" in commands("doctor").output
    sandbox.faults()
    sandbox.configure(clock_offset=7200)
    assert "2.0 h off the server's" in commands("doctor").output
    sandbox.stop()
    assert "Check the network" in commands("doctor", status=1).output
    commands("doctor", "--offline")
    commands.queue_path.chmod(0o644)
    assert "others may read it: mode 644" in commands("doctor", "--offline").output
    commands.env["SEGOPS_API_KEY"] = "mk_wrong"
    assert "management key" in commands("doctor", "--offline", status=1).output


def test_the_doctor_with_a_public_key_opens_a_session_and_no_more(
    commands: Commands, sandbox: Sandbox
) -> None:
    commands.env["SEGOPS_API_KEY"] = "pk_test"
    commands("doctor")
    assert [row["path"] for row in sandbox.requests()] == ["/api/auth/session/"]


def test_the_doctor_changes_nothing_until_it_is_told_to_repair(
    commands: Commands, sandbox: Sandbox
) -> None:
    sandbox.stop()
    with closing_client(commands) as client:
        client.track_many(numbered(2000))
    with closing(sqlite3.connect(commands.queue_path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name = 'tally'").fetchone()
    data = bytearray(commands.queue_path.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = b"\xaa" * 4096
    commands.queue_path.write_bytes(data)
    for words in (("status",), ("peek",), ("doctor", "--offline")):  # below what a header says
        assert "doctor --repair" in commands(*words, status=1).output
    assert commands.queue_path.read_bytes() == data
    assert not list(commands.home.glob("*.damaged-*"))
    output = commands("doctor", "--offline", "--repair").output
    assert "damaged files: outbox.db.damaged-" in output
    assert "What could be read of them is in the outbox" in output
    assert commands.waiting() == 2000
    sandbox.start()
    commands("drain")
    assert sorted(numbers(sandbox)) == list(range(2000))


def test_the_events_of_a_file_that_an_older_version_set_aside_can_be_brought_back(
    commands: Commands,
) -> None:
    commands.env["SEGOPS_API_URL"] = NOWHERE
    with closing_client(Commands(commands.home, NOWHERE)) as client:
        client.track_many(numbered(300))
    aside = commands.queue_path.with_name("outbox.db.damaged-20260131T120000")
    data = bytearray(commands.queue_path.read_bytes())
    data[18] ^= 4  # as far as SQLite goes, it is read-only
    for each in commands.queue_path.parent.glob("outbox.db*"):
        each.unlink()
    aside.write_bytes(data)
    aside.chmod(0o600)
    with closing_client(Commands(commands.home, NOWHERE)) as client:
        client.track_many(numbered(2))
    output = commands("doctor", "--offline").output
    assert f"{aside.name}: whether all that could be read of it is in the outbox" in output
    assert "delete them when you like" not in output
    assert f"segops-durable adopt {aside}" in output
    commands("doctor", "--offline", "--repair", "--queue-path", str(aside))
    commands("adopt", str(aside), "--yes")
    assert commands.waiting() == 302


def test_the_doctor_repairs_what_opening_does_not_notice(commands: Commands) -> None:
    with closing_client(Commands(commands.home, NOWHERE)) as client:
        client.track_many(numbered(3000))
    commands.env["SEGOPS_API_URL"] = NOWHERE
    with closing(sqlite3.connect(commands.queue_path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(commands.queue_path.read_bytes())
    start = data.index(b'{"n":1500}') // 4096 * 4096
    data[start : start + 4096] = b"\xaa" * 4096  # a page in the middle
    commands.queue_path.write_bytes(data)
    assert commands.waiting() == 3000
    commands("doctor", "--offline", status=1)
    commands("doctor", "--offline", "--repair")
    assert 2900 < commands.waiting() < 3000
    assert commands.json("status")["lost_total"] == 3000 - commands.waiting()


def test_an_altered_event_is_told_of_by_the_doctor(commands: Commands) -> None:
    commands.env["SEGOPS_API_URL"] = NOWHERE
    with closing_client(commands) as client:
        client.track_many(numbered(3))
    with closing(sqlite3.connect(commands.queue_path)) as file:
        file.execute("UPDATE queue_outbox SET data = x'7b7d' WHERE _id = 2")
        file.commit()
    assert "1 of 3 waiting events do not match" in commands("doctor", "--offline").output
