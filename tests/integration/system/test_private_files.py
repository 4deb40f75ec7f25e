"""What somebody who may write beside the outbox can do to us: nothing, and it is told."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from segops_durable import DamagedOutboxError, SegOpsClient, StorageError
from segops_durable.outbox import Outbox
from segops_durable.system import private_files, trusted_paths
from segops_durable.system.private_files import open_private, replacing
from support.events import track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsError

PRECIOUS = b"precious\n" * 100

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(os.name == "nt", reason="it has no such links"),
]


def plant(kind: str, path: Path, victim: Path) -> None:
    """Put something where one of our files belongs."""
    if kind == "symbolic link":
        path.symlink_to(victim)
    elif kind == "hard link":
        path.hardlink_to(victim)
    elif kind == "link to nothing":
        path.symlink_to(victim.with_name("made-by-us"))
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()


PLANTED = ("symbolic link", "hard link", "link to nothing", "pipe", "directory")


@pytest.fixture
def victim(queue_path: Path) -> Path:
    queue_path.parent.mkdir(parents=True)
    path = queue_path.with_name("victim.txt")
    path.write_bytes(PRECIOUS)
    return path


def is_unharmed(victim: Path) -> bool:
    return victim.read_bytes() == PRECIOUS and not victim.with_name("made-by-us").exists()


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("end", [".lock", "-wal", "-shm"])
def test_what_was_planted_beside_the_outbox_is_named_and_not_written_to(
    end: str, kind: str, victim: Path, queue_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    make_client().shutdown()
    beside = queue_path.with_name(queue_path.name + end)
    beside.unlink(missing_ok=True)
    plant(kind, beside, victim)
    with pytest.raises(StorageError) as caught:
        make_client()
    assert caught.value.path == str(beside)
    assert caught.value.hint
    assert is_unharmed(victim)


@pytest.mark.parametrize("kind", PLANTED)
def test_where_the_place_of_the_sender_is_planted_events_are_kept_and_it_is_told(
    kind: str, victim: Path, queue_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    told: list[SegOpsError] = []
    beside = queue_path.with_name(queue_path.name + ".sender")
    plant(kind, beside, victim)
    client = make_client(on_error=told.append)
    track(client, 3)
    assert client.flush(60).pending == 3
    assert is_unharmed(victim)
    assert [each.path for each in told if isinstance(each, StorageError)][:1] == [str(beside)]


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_reserve_is_not_written_to(
    kind: str, victim: Path, queue_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    plant(kind, queue_path.with_name(queue_path.name + ".reserve"), victim)
    client = make_client()
    track(client, 3)
    assert client.flush(60).ok
    assert is_unharmed(victim)


@pytest.mark.parametrize("kind", ["hard link", "pipe", "directory"])
def test_what_is_no_file_of_its_own_is_no_outbox(
    kind: str, victim: Path, queue_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    plant(kind, queue_path, victim)
    with pytest.raises(StorageError, match=str(queue_path)):
        make_client()
    assert is_unharmed(victim)
    assert queue_path.exists()


def test_an_outbox_and_a_link_to_it_are_one_with_one_sender(
    tmp_path: Path, queue_path: Path
) -> None:
    directory, link = tmp_path / "elsewhere", tmp_path / "link.db"
    directory.symlink_to(queue_path.parent)
    link.symlink_to(directory / queue_path.name)  # dangles as yet
    outboxes = [
        Outbox(path, api_url="http://localhost:9", key_fingerprint="k")
        for path in (link, queue_path, directory / queue_path.name)
    ]
    try:
        for each in outboxes:
            each.commit.append([b'{"event_type":"a"}'])
        assert [each.path for each in outboxes] == [queue_path] * 3
        assert [each.waiting.counts().pending for each in outboxes] == [3, 3, 3]
        assert [each.sender_lock.try_acquire() for each in outboxes] == [True, False, False]
        assert sorted(each.name for each in tmp_path.iterdir()) == [
            "elsewhere",
            "link.db",
            queue_path.parent.name,
        ]
    finally:
        for each in outboxes:
            each.sender_lock.release()
            each.close()


@pytest.mark.parametrize(
    "name",
    [b"a?b#c%20d&mode=ro.db", b'it\'s "q".db', b"[x]*.db", b"\xff\xfe.db", b"-.db", b"a\nb.db"],
    ids=ascii,
)
def test_an_outbox_of_any_name_works_and_when_it_is_damaged_too(
    name: bytes, tmp_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    path = tmp_path / os.fsdecode(name)
    told: list[SegOpsError] = []
    for _ in range(2):
        client = make_client(queue_path=path, on_error=told.append)
        track(client, 2)
        assert client.flush(60).sent == 2
        client.shutdown()
        with path.open("r+b") as file:
            file.seek(20)
            file.write(b"\xaa" * 3000)
    assert [type(each) for each in told] == [DamagedOutboxError]
    assert "\n" not in str(told[0])


def test_links_that_go_round_in_a_circle_are_told_of(
    tmp_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    (tmp_path / "a.db").symlink_to(tmp_path / "b.db")
    (tmp_path / "b.db").symlink_to(tmp_path / "a.db")
    with pytest.raises(StorageError, match="circle"):
        make_client(queue_path=tmp_path / "a.db")


def test_a_file_is_written_as_a_whole_and_private_and_nothing_else_is_touched(
    tmp_path: Path,
) -> None:
    victim, file = tmp_path / "victim.txt", tmp_path / "new.jsonl"
    victim.write_bytes(PRECIOUS)
    partial = file.with_name(file.name + ".part")
    for kind in ("symbolic link", "hard link", "link to nothing"):
        plant(kind, partial, victim)
        with pytest.raises(StorageError, match=r"new\.jsonl\.part"), replacing(file):
            pass
        assert not file.exists()
        assert is_unharmed(victim)
        partial.unlink()
    partial.write_bytes(b"of one that was killed")
    file.write_bytes(b"old")
    file.chmod(0o644)
    with replacing(file) as stream:
        stream.write(b"new")
        assert file.read_bytes() == b"old"
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not partial.exists()


def test_a_link_that_is_planted_after_the_look_is_not_followed(
    victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = victim.with_name("outbox.db.sender")
    path.touch()
    look = trusted_paths.check_private

    def look_and_lose(path: Path, *, like: Path | None = None) -> None:
        look(path, like=like)
        path.unlink()
        path.symlink_to(victim)  # at the very moment between the look and the opening

    monkeypatch.setattr(private_files, "check_private", look_and_lose)
    with pytest.raises(OSError, match=path.name):
        open_private(path)
    assert is_unharmed(victim)


@pytest.mark.parametrize("kind", ["symbolic link", "pipe", "directory"])
def test_what_is_no_file_is_not_replaced_by_one(kind: str, tmp_path: Path) -> None:
    victim, file = tmp_path / "victim.txt", tmp_path / "new.jsonl"
    victim.write_bytes(PRECIOUS)
    plant(kind, file, victim)
    before = file.lstat()
    with pytest.raises(StorageError, match=r"new\.jsonl"), replacing(file):
        pass
    assert os.path.samestat(before, file.lstat())
    assert is_unharmed(victim)


def test_of_two_that_write_one_file_none_publishes_half_of_the_others(tmp_path: Path) -> None:
    file = tmp_path / "new.jsonl"

    def write_slowly() -> None:
        with replacing(file) as slow:
            with replacing(file) as fast:  # it takes the other's for the rest of a killed one
                fast.write(b"whole")
            slow.write(b"half")

    with pytest.raises(StorageError, match="was replaced"):
        write_slowly()
    assert file.read_bytes() == b"whole"
    assert [each.name for each in tmp_path.iterdir()] == ["new.jsonl"]
