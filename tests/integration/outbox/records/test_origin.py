"""Copied outboxes: disk images, backups, snapshots. Each has keys of its own, and it is told."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable import (
    CopiedOutboxError,
    DamagedOutboxError,
    ReplacedOutboxError,
    SegOpsClient,
    SegOpsError,
)
from segops_durable.outbox import Outbox
from segops_durable.outbox.records import machine
from support.commands import Commands
from support.events import leave, numbered
from support.machines import FakeMachine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python


def keys(sandbox: Sandbox) -> list[str]:
    return [row["idempotency_key"] for row in sandbox.requests() if row["idempotency_key"]]


def copy(queue_path: Path, name: str) -> Path:
    """Copy the whole directory of an outbox, as an image does; return the outbox in it."""
    target = queue_path.parent.parent / name
    shutil.copytree(queue_path.parent, target)
    return target / queue_path.name


def use(
    make_client: Callable[..., SegOpsClient], path: Path, *numbers: int
) -> tuple[str, list[CopiedOutboxError]]:
    """Track and send in a client of its own; return the visitor, and what is told of copies."""
    told: list[SegOpsError] = []
    client = make_client(queue_path=path, on_error=told.append, max_retries=0)
    for number in numbers:
        track(client, number)
    visitor = client.anonymous_id
    client.shutdown(10)
    return visitor, [each for each in told if isinstance(each, CopiedOutboxError)]


def track(client: SegOpsClient, number: int) -> None:
    client.track(*numbered(1, number))


@pytest.fixture
def image(make_client: Callable[..., SegOpsClient], queue_path: Path) -> Path:
    """An outbox that was opened once, with nothing in it."""
    leave(make_client())
    return queue_path


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has everything go on on another machine of that serial number."""

    def go_to(serial: str) -> None:
        root = tmp_path / "machines" / serial
        monkeypatch.setattr(machine, "root", FakeMachine(root).serial(serial).root)

    return go_to


def test_two_copies_of_an_image_send_under_keys_of_their_own(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, image: Path
) -> None:
    for number, name in enumerate("ab"):
        _, copied = use(make_client, copy(image, name), number)
        assert [each.is_from_another_machine for each in copied] == [False]
    assert len(set(keys(sandbox))) == len(keys(sandbox)) == 2
    assert sandbox.summary()["conflicting_keys"] == 0


def test_a_copy_on_the_same_machine_is_told_once_and_keeps_its_visitor(
    make_client: Callable[..., SegOpsClient], image: Path
) -> None:
    visitor, copied = use(make_client, image)
    assert copied == []
    path = copy(image, "copy")
    for times in (1, 0, 0):
        found, copied = use(make_client, path)
        assert len(copied) == times
        assert found == visitor


def test_a_copy_on_another_machine_has_visitors_of_its_own(
    make_client: Callable[..., SegOpsClient],
    image: Path,
    machines: Callable[[str], None],
) -> None:
    image.unlink()
    machines("c0ffee-1")
    visitor, _ = use(make_client, image)
    for serial in ("c0ffee-2", "c0ffee-3"):
        path = copy(image, serial)
        machines(serial)
        mine, copied = use(make_client, path)
        assert [each.is_from_another_machine for each in copied] == [True]
        assert mine != visitor
        assert use(make_client, path) == (mine, [])
    machines("c0ffee-1")
    assert use(make_client, image) == (visitor, [])


def test_a_batch_that_was_in_flight_keeps_its_key_in_the_copy_and_what_waits_is_told(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    sandbox.faults(status=503)
    client = make_client(max_retries=0)
    track(client, 0)
    assert client.flush(timeout=60).pending
    leave(client)
    first = keys(sandbox)[0]
    path = copy(queue_path, "copy")
    sandbox.faults()
    _, copied = use(make_client, path)
    assert [each.waiting for each in copied] == [1]
    assert keys(sandbox)[-1] == first
    use(make_client, path, 1)
    own = client._outbox.owner.uuid
    assert first.startswith(own)
    assert not keys(sandbox)[-1].startswith(own)


def test_a_backup_that_was_put_in_place_is_told_of(
    make_client: Callable[..., SegOpsClient], image: Path
) -> None:
    backup = image.with_name("backup.db")
    shutil.copy(image, backup)
    backup.replace(image)
    assert len(use(make_client, image)[1]) == 1


def test_a_backup_that_is_put_in_place_while_a_client_runs_is_told_of(
    make_client: Callable[..., SegOpsClient], image: Path
) -> None:
    backup = image.with_name("backup.db")
    shutil.copy(image, backup)
    told: list[SegOpsError] = []
    client = make_client(on_error=told.append)
    client.flush(timeout=60)
    for end in ("-wal", "-shm"):
        image.with_name(image.name + end).unlink()
    backup.replace(image)
    track(client, 0)
    assert client.flush(timeout=60).ok
    assert {CopiedOutboxError, ReplacedOutboxError} <= set(map(type, told))


def test_exports_of_two_copies_are_both_loaded(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, image: Path, tmp_path: Path
) -> None:
    sandbox.stop()
    commands = Commands(tmp_path, sandbox.url)
    for number, name in enumerate("ab"):
        path = copy(image, name)
        use(make_client, path, number)
        commands("export", str(tmp_path / f"{name}.jsonl"), "--queue-path", str(path))
    for name in "ab":
        assert commands.json("load", str(tmp_path / f"{name}.jsonl")) == {"loaded": 1, "known": 0}


def test_exports_of_a_device_that_is_set_back_at_each_boot_are_all_loaded(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    queue_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox.stop()
    commands = Commands(tmp_path, sandbox.url)
    use(make_client, queue_path, 0)
    snapshot = queue_path.read_bytes()
    for boot in (1, 2, 3):
        monkeypatch.setattr("segops_durable.system.clock._BOOT", boot)
        queue_path.write_bytes(snapshot)  # in its place: it is the same file
        _, copied = use(make_client, queue_path, boot)
        assert copied == []
        file = str(tmp_path / f"{boot}.jsonl")
        commands("export", file, "--queue-path", str(queue_path))
        # what was there before the snapshot is the same event in all of them
        news = {"loaded": 2, "known": 0} if boot == 1 else {"loaded": 1, "known": 1}
        assert commands.json("load", file) == news
        assert commands.json("load", file) == {"loaded": 0, "known": 2}


def test_a_file_that_was_moved_is_no_copy(
    make_client: Callable[..., SegOpsClient], image: Path
) -> None:
    moved = image.parent.parent / "moved"
    image.parent.rename(moved)
    assert use(make_client, moved / image.name)[1] == []


def test_a_file_that_was_salvaged_is_no_copy(
    make_client: Callable[..., SegOpsClient], image: Path
) -> None:
    told: list[SegOpsError] = []
    client = make_client(on_error=told.append)
    visitor = client.anonymous_id
    client._outbox.repair("for a test")
    track(client, 0)
    assert client.flush(timeout=60).ok
    assert any(isinstance(each, DamagedOutboxError) for each in told)
    assert not any(isinstance(each, CopiedOutboxError) for each in told)
    leave(client)
    assert use(make_client, image) == (visitor, [])


def test_a_file_that_vanished_and_is_made_again_is_no_copy(
    make_client: Callable[..., SegOpsClient], image: Path
) -> None:
    told: list[SegOpsError] = []
    client = make_client(on_error=told.append)
    client.flush(timeout=60)
    image.unlink()
    track(client, 0)
    assert client.flush(timeout=60).ok
    assert any(isinstance(each, ReplacedOutboxError) for each in told)
    assert not any(isinstance(each, CopiedOutboxError) for each in told)


def test_a_note_that_is_damaged_raises_no_alarm(
    make_client: Callable[..., SegOpsClient], image: Path
) -> None:
    visitor, _ = use(make_client, image)
    with closing(sqlite3.connect(image)) as file:
        file.execute("UPDATE meta SET value = value || 'x' WHERE name = 'origin'")
        file.commit()
    assert use(make_client, image) == (visitor, [])


def test_an_outbox_with_a_given_uuid_has_it_in_every_file_of_every_machine(
    image: Path, machines: Callable[[str], None], tmp_path: Path
) -> None:
    """A lane of Spark is made again where its disk is lost: the same events, the same keys."""
    given = "6c2a3f0e-53f1-5d43-9a0e-5b8c1b0f3c77"
    copied = copy(image, "copied")
    for path, place in ((image, "A-1001"), (copied, "B-2002"), (tmp_path / "new.db", "C-3003")):
        machines(place)
        for _ in range(2):
            outbox = Outbox(path, api_url=read_url(image), key_fingerprint="", uuid=given)
            assert outbox.owner.uuid == given
            assert outbox.pop_incidents() == []
            outbox.close()


def read_url(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        (url,) = connection.execute("SELECT value FROM meta WHERE name = 'api_url'").fetchone()
        return str(url)
