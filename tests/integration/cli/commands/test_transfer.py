"""Events that are carried by hand: exported on one machine, loaded on another."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable.outbox import Outbox, Take
from support.commands import NOWHERE, Commands, closing_client, fill
from support.events import become_the_sender, numbered, numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python


@pytest.mark.parametrize("name", ["kiosk.jsonl", "kiosk.jsonl.gz"])
def test_a_queue_that_is_carried_by_hand_is_delivered_once_though_it_is_loaded_twice(
    commands: Commands, sandbox: Sandbox, name: str
) -> None:
    device = Commands(commands.home / "device", commands.env["SEGOPS_API_URL"])
    device.home.mkdir()
    fill(device, sandbox, 1300)
    file = device.home / name
    assert "which still wait here" in device("export", str(file)).output
    assert device.waiting() == 1300
    assert "1300 removed here" in device("export", str(file), "--remove").output
    assert device.waiting() == 0
    assert commands.json("load", str(file)) == {"loaded": 1300, "known": 0}
    assert commands.json("load", str(file)) == {"loaded": 0, "known": 1300}
    commands("drain")
    assert commands.json("load", str(file)) == {"loaded": 0, "known": 1300}
    assert sorted(numbers(sandbox)) == list(range(1300))
    assert "from this very outbox" in device("load", str(file), status=2).output


def test_events_for_another_segops_are_not_loaded(commands: Commands) -> None:
    device = Commands(commands.home / "device", NOWHERE)
    device.home.mkdir()
    device("track", "ann", "x")
    file = device.home / "kiosk.jsonl"
    device("export", str(file))
    output = commands("load", str(file), status=2).output
    assert f"the file has events for {NOWHERE}, this outbox is for" in output
    assert commands.waiting() == 0


def test_what_is_damaged_or_came_later_is_not_removed_by_an_export(commands: Commands) -> None:
    commands.env["SEGOPS_API_URL"] = NOWHERE
    with closing_client(commands) as client:
        client.track_many(numbered(3))
    with closing(sqlite3.connect(commands.queue_path)) as file:
        file.execute("UPDATE queue_outbox SET data = x'7b7d' WHERE _id = 2")
        file.commit()
    outbox = Outbox(commands.queue_path, api_url=NOWHERE, key_fingerprint="k")
    assert outbox.sender_lock.try_acquire()
    lines = []
    for line in outbox.transfer.export(3):
        lines.append(line)
        outbox.commit.append([b'{"n":"later"}'])
    assert len(lines) == 2
    assert outbox.transfer.remove_exported(3) == 2
    assert outbox.waiting.counts().pending == 3  # the damaged one, and the later ones
    outbox.sender_lock.release()
    outbox.close()


def test_two_exports_of_one_device_that_overlap_are_delivered_once_in_either_order(
    commands: Commands, sandbox: Sandbox
) -> None:
    device = Commands(commands.home / "device", commands.env["SEGOPS_API_URL"])
    device.home.mkdir()
    first, second = device.home / "1.jsonl", device.home / "2.jsonl"
    for file, start in ((first, 0), (second, 600)):
        fill(device, sandbox, 600, first=start)
        device("export", str(file))
    third = device.home / "3.jsonl"
    device("export", str(third), "--remove")
    fill(device, sandbox, 100, first=1200)
    device("export", str(device.home / "4.jsonl"))
    for file in (device.home / "4.jsonl", first, second, third, second):
        commands("load", str(file))
    commands("drain")
    assert sorted(numbers(sandbox)) == list(range(1300))


def test_a_load_that_is_cut_off_goes_on_and_a_strange_file_is_refused(
    commands: Commands, sandbox: Sandbox
) -> None:
    device = Commands(commands.home / "device", commands.env["SEGOPS_API_URL"])
    device.home.mkdir()
    fill(device, sandbox, 1300)
    file = device.home / "kiosk.jsonl.gz"
    device("export", str(file))
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    half = device.home / "half.jsonl"
    half.write_bytes(b"".join(lines[:700]) + lines[700][:50])
    assert "line that `export` did not write" in commands("load", str(half), status=2).output
    assert commands.waiting() == 500  # a whole transaction
    commands("load", str(file))
    commands("drain")
    assert sorted(numbers(sandbox)) == list(range(1300))
    for text in ("not JSON", "{}", '{"source": "x", "id": "1", "identity": ""}'):
        half.write_text(text)
        assert "To bring in other files, use import" in commands("load", str(half), status=2).output


def test_export_with_remove_leaves_events_to_a_client_that_sends_them(
    commands: Commands, make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client(queue_path=commands.queue_path)
    become_the_sender(client)
    sandbox.stop()
    client.track_many(numbered(3))
    output = commands("export", str(commands.home / "x.jsonl"), "--remove", status=1).output
    assert "Stop it, and export again" in output
    assert commands.waiting() == 3


def test_a_file_to_load_that_is_cut_off_is_named(commands: Commands, sandbox: Sandbox) -> None:
    device = Commands(commands.home / "device", commands.env["SEGOPS_API_URL"])
    device.home.mkdir()
    fill(device, sandbox, 900)
    file = device.home / "kiosk.jsonl.gz"
    device("export", str(file))
    file.write_bytes(file.read_bytes()[:-100])
    assert "is cut off" in commands("load", str(file), status=1).output


def test_an_export_names_whom_events_of_whoever_are_sent_as(commands: Commands) -> None:
    outbox = Outbox(commands.queue_path, api_url=NOWHERE, key_fingerprint="k")
    outbox.commit.append([b'{"n":1}', b'{"n":2}'], "whoever")
    batch = outbox.batches.take(Take(1, "whoever")).batch
    assert batch is not None
    outbox.batches.assign(batch, "user:ann")
    found = [json.loads(line)["identity"] for line in outbox.transfer.export(2)]
    outbox.close()
    assert found == ["user:ann", "whoever"]
