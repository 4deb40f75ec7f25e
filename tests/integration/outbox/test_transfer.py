"""A file to load was carried by hand: whatever is in it by now, nothing of it stops sending."""

from __future__ import annotations

import gzip
import json
import sqlite3
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from segops_durable import ConfigurationError, SegOpsClient
from segops_durable.cli.commands import run
from segops_durable.outbox import Outbox, Place
from support.events import numbered, numbers
from support.outboxes import spoil

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python

SOURCE = "1b4e28ba-2fa1-4d3b-883f-0016d3cca427"
EVENT = {
    "user_id": "ann",
    "event_type": "page_viewed",
    "occurred_at": "2026-01-31T12:00:00.123456789+00:00",
    "payload": {"n": 1, "deep": [{"x": 1e-7}, None]},
}
BIG = (1 << 63) - 1


def line(url: str, event: Any = EVENT, **changes: Any) -> bytes:
    """A line as version 0.1 exported it, or one that somebody has changed."""
    head = {
        "source": SOURCE,
        **({"generation": "0a1b2c3d4e5f"} if "generation" in changes else {}),
        "api_url": url,
        "id": 7,
        "identity": "",
        "tracked_at": 1_770_000_000.5,
        "uptime": 12.5,
        "boot": 281_474_976_710_655,
        **changes,
    }
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )
    data = event if isinstance(event, bytes) else json.dumps(event, separators=(",", ":")).encode()
    return text[:-1] + b',"event":' + data + b"}\n"


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in EVENT.items() if key != name}


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no source": ({"source": ""}, "source"),
    "a source that is no UUID": ({"source": "x"}, "source"),
    "a source of another type": ({"source": 5}, "source"),
    "a generation of another type": ({"generation": 5}, "generation"),
    "a generation with a blank": ({"generation": "a b"}, "generation"),
    "a URL of another type": ({"api_url": None}, "api_url"),
    "an id of nothing": ({"id": 0}, "id"),
    "an id below": ({"id": -1}, "id"),
    "an id beyond SQLite": ({"id": 1 << 70}, "id"),
    "an id that is true": ({"id": True}, "id"),
    "an id with a fraction": ({"id": 1.5}, "id"),
    "an identity of no kind": ({"identity": "admin:ann"}, "identity"),
    "an identity of nobody": ({"identity": "user:"}, "identity"),
    "an identity of another type": ({"identity": None}, "identity"),
    "an identity of half a letter": ({"identity": "user:\ud800"}, "line"),
    "a time that is none": ({"tracked_at": float("nan")}, "line"),
    "a time without end": ({"tracked_at": 1e300}, "tracked_at"),
    "a time before all": ({"tracked_at": -1}, "tracked_at"),
    "a time as text": ({"tracked_at": "1"}, "tracked_at"),
    "a time of 400 digits": ({"tracked_at": 10**400}, "tracked_at"),
    "an uptime as text": ({"uptime": "x"}, "uptime"),
    "an uptime without end": ({"uptime": 1e300}, "uptime"),
    "an uptime alone": ({"boot": None}, "boot"),
    "a boot alone": ({"uptime": None}, "uptime"),
    "a boot beyond SQLite": ({"boot": 1 << 64}, "boot"),
    "a boot below": ({"boot": -1}, "boot"),
    "an event that is none": ({"event": b"5"}, "event"),
    "an event of another form": ({"event": {"a": 1}}, "occurred_at"),
    "no user": ({"event": without("user_id")}, "user_id"),
    "a user of another type": ({"event": {**EVENT, "user_id": 5}}, "user_id"),
    "no name": ({"event": {**EVENT, "event_type": ""}}, "event_type"),
    "no time": ({"event": without("occurred_at")}, "occurred_at"),
    "a time that is no time": ({"event": {**EVENT, "occurred_at": "NaT"}}, "occurred_at"),
    "a time in another zone": (
        {"event": {**EVENT, "occurred_at": "2026-01-31T12:00:00+02:00"}},
        "occurred_at",
    ),
    "a payload that is none": ({"event": {**EVENT, "payload": [1]}}, "payload"),
    "a payload of null": ({"event": {**EVENT, "payload": None}}, "payload"),
    "a payload with half a letter": ({"event": {**EVENT, "payload": {"a": "\ud800"}}}, "line"),
    "a payload too deep": (
        {"event": json.dumps(EVENT).encode().replace(b"null", b"[" * 5000 + b"]" * 5000)},
        "line",
    ),
    "a field too many": ({"event": {**EVENT, "admin": True}}, "event"),
    "a visitor of another type": ({"event": {**EVENT, "anonymous_id": 5}}, "anonymous_id"),
    "fields in another order": (
        {"event": {"payload": {"occurred_at": "x"}, **without("payload")}},
        "event",
    ),
    "a user twice": (
        {"event": json.dumps(EVENT).encode()[:-1] + b',"user_id":"eve"}'},
        "line",
    ),
    "a number that is none": ({"event": {**EVENT, "payload": {"a": float("inf")}}}, "line"),
    "too large an event": ({"event": {**EVENT, "payload": {"a": "x" * 300_000}}}, "event"),
}


class Machine:
    """A machine that loads files."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self.file = home / "kiosk.jsonl"
        self.env = {
            "SEGOPS_API_URL": url,
            "SEGOPS_API_KEY": "sk_test",
            "SEGOPS_QUEUE_PATH": str(home / "outbox.db"),
            "XDG_CONFIG_HOME": str(home),
            "COLUMNS": "500",
        }

    def load(self, *lines: bytes) -> Result:
        self.file.write_bytes(b"".join(lines))
        return CliRunner().invoke(run, ["load", str(self.file)], env=self.env)


@pytest.fixture
def machine(tmp_path: Path, sandbox: Sandbox) -> Machine:
    return Machine(tmp_path, sandbox.url)


@pytest.mark.parametrize("name", BAD)
def test_a_line_that_could_not_have_been_tracked_is_refused_by_file_line_and_field(
    name: str, machine: Machine, sandbox: Sandbox
) -> None:
    changes, field = BAD[name]
    result = machine.load(line(sandbox.url, id=3), line(sandbox.url, **changes))
    assert result.exit_code == 2, result.output
    expected = f"{machine.file} has a line that `export` did not write: line 2, {field}: "
    assert expected in result.output
    assert len(result.output) < 1000
    with SegOpsClient(sandbox.url, "sk_test", queue_path=machine.home / "outbox.db") as client:
        client.track_many(numbered(2))
        assert client.flush(20).ok
    assert sorted(numbers(sandbox)) == [0, 1]


@pytest.mark.parametrize("name", BAD)
def test_whatever_reaches_the_outbox_is_sent_or_refused_and_stops_nothing(
    name: str, sandbox: Sandbox, make_client: Callable[..., SegOpsClient]
) -> None:
    client = make_client()
    with suppress(ConfigurationError):
        client._outbox.transfer.load([line(sandbox.url, **BAD[name][0])], Place())
    client.track_many(numbered(2))
    client.flush(20)
    assert client.stats().pending == 0
    assert {0, 1} <= {(row["event"].get("payload") or {}).get("n") for row in sandbox.events()}


def test_what_version_0_1_exported_is_loaded_and_sent_as_it_was(
    machine: Machine, sandbox: Sandbox
) -> None:
    visitor = {**EVENT, "payload": {}, "anonymous_id": "v-1"}
    result = machine.load(
        line(sandbox.url, id=3),
        line(sandbox.url, visitor, id=4, identity="visitor:v-1", uptime=None, boot=None),
        line(sandbox.url, visitor, id=BIG, identity="whoever", tracked_at=5),
        line(sandbox.url, visitor, id=BIG, identity="user:ann"),
    )
    assert "line 4, id: must be larger" in result.output
    result = machine.load(
        line(sandbox.url, id=3),
        line(sandbox.url, visitor, id=4, identity="visitor:v-1", uptime=None, boot=None),
        line(sandbox.url, visitor, id=BIG, identity="whoever", tracked_at=5),
    )
    others = "Note: 2 events were tracked under a pk_… key, and wait for a client that has one\n"
    assert result.output == f"{others}3 loaded, 0 were here already\n"
    with SegOpsClient(sandbox.url, "sk_test", queue_path=machine.home / "outbox.db") as client:
        client.flush(20)
    assert [row["event"] for row in sandbox.events()] == [EVENT]


def test_lines_out_of_order_are_refused_over_the_pages_of_a_file_too(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    outbox = Outbox(tmp_path / "outbox.db", api_url=sandbox.url, key_fingerprint="k")
    place = outbox.transfer.load([line(sandbox.url, id=5)], Place())
    with pytest.raises(ConfigurationError, match="line 2, id: must be larger than 5"):
        outbox.transfer.load([line(sandbox.url, id=4)], place)
    assert outbox.transfer.load([line(sandbox.url, id=6)], place).loaded == 2
    outbox.close()


def limited(machine: Machine, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command that may have so much memory, and no more."""
    code = (
        "import resource, sys; from segops_durable.__main__ import main;"
        "resource.setrlimit(resource.RLIMIT_AS, (450 << 20, 450 << 20));"
        "sys.argv[0] = 'segops-durable'; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        env=machine.env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
@pytest.mark.parametrize("end", [".jsonl", ".jsonl.gz", ".csv", ".csv.gz"])
def test_a_line_without_end_is_not_held_in_memory(end: str, machine: Machine) -> None:
    file = machine.home / f"bomb{end}"
    if end.endswith(".gz"):
        with gzip.open(file, "wb", 1) as stream:
            stream.write(b"user_id,event_type\n" if "csv" in end else b"")
            for _ in range(500):
                stream.write(bytes(1 << 20))
            stream.write(b"\n")
    else:
        file.write_bytes(b"user_id,event_type\n" if "csv" in end else b"")
        with file.open("r+b") as stream:
            stream.truncate(500 << 20)  # a hole, as a power cut leaves it
            stream.seek(0, 2)
            stream.write(
                b'\n{"user_id":"u","event_type":"a_b"}\n' if end == ".jsonl" else b"\nu,a_b\n"
            )
    done = limited(machine, "import", str(file))
    assert done.returncode == 1, done.stderr
    stored = 0 if end.endswith(".gz") else 1
    assert f"{stored} stored, 1 rejected" in done.stderr
    assert file.with_name(file.name + ".rejects.jsonl").stat().st_size < 10_000
    done = limited(machine, "load", str(file))
    assert done.returncode == 2, done.stderr
    assert "line 1, line: " in done.stderr


def test_a_file_of_settings_without_end_is_refused(machine: Machine) -> None:
    result = CliRunner().invoke(run, ["config", "--config", "/dev/zero"], env=machine.env)
    assert result.exit_code == 2
    assert "is no TOML: it has more than" in result.output


def test_json_that_is_nested_without_end_is_refused(machine: Machine) -> None:
    deep = "[" * 100_000
    result = CliRunner().invoke(run, ["track", "ann", "a_b", "--payload", deep], env=machine.env)
    assert result.exit_code == 2
    assert "must be JSON" in result.output
    result = CliRunner().invoke(run, ["track", "ann", "a_b", f"x={deep}"], env=machine.env)
    assert result.exit_code == 0, result.output


def test_a_file_is_of_one_outbox_though_that_loses_its_uuid_meanwhile(
    open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    ours = open_outbox()
    ours.commit.append([json.dumps(EVENT, separators=(",", ":")).encode()] * 1500)
    named = ours.owner.uuid
    lines = ours.transfer.export(1500)
    exported = [next(lines) for _ in range(500)]
    spoil(ours.path, "UPDATE meta SET value = 'lost' WHERE name = 'uuid'")
    ours._store.replace_damaged(sqlite3.DatabaseError("malformed"))
    exported += lines
    assert ours.owner.uuid != named
    assert {json.loads(each)["source"] for each in exported} == {named}
    assert open_outbox(tmp_path / "theirs.db").transfer.load(exported, Place()).loaded == 1500
