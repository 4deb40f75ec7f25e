"""A file that is deleted or replaced while it is open is noticed, and made again."""

from __future__ import annotations

import math
from itertools import count
from typing import TYPE_CHECKING

import pytest

from segops_durable import ReplacedOutboxError, StorageError
from segops_durable.outbox.disk.files import companions
from segops_durable.outbox.store import replacing
from support.damaged import drain, open_outbox
from support.events import leave, numbers, track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient, SegOpsError
    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python


def test_two_who_have_the_file_open_agree_after_damage(queue_path: Path) -> None:
    first, second = open_outbox(queue_path), open_outbox(queue_path)
    rows = {b'{"n":%d,"x":"%s"}' % (n, b"y" * 1000) for n in range(8000)}
    first.commit.append(sorted(rows))
    first._store._live.current().writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with queue_path.open("r+b") as file:
        file.seek(5 * 4096)
        file.write(bytes(4096 * 20))
    sent, dead = drain(first)
    second.commit.append([b'{"n":"second"}'])
    first.commit.append([b'{"n":"first"}'])
    again, _ = drain(second)
    assert again == {b'{"n":"first"}', b'{"n":"second"}'}
    lost = sum(getattr(each, "lost", 0) for each in first.pop_incidents())
    assert lost > 0
    assert len(rows - sent - dead) <= lost
    assert [type(each) for each in second.pop_incidents()] == [ReplacedOutboxError]
    first.close()
    second.close()


def test_who_has_just_seen_the_file_stores_nothing_in_it_once_another_has_set_it_aside(
    queue_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing, "LOOK_SECONDS", 1.0)  # longer than a salvage takes
    first, second = open_outbox(queue_path), open_outbox(queue_path)
    for number in range(3):
        second.commit.append([b'{"n":%d}' % number])
        first._store._live.attempt(lambda _queue: None)  # it looks where the file is
        second.repair("as if")
        first.commit.append([b'{"n":"%d, after"}' % number])
    stored = {b'{"n":%d}' % number for number in range(3)}
    assert drain(second)[0] == stored | {b'{"n":"%d, after"}' % number for number in range(3)}
    first.close()
    second.close()


def test_a_file_that_was_deleted_while_it_was_open_is_made_again_with_what_waited(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    queue_path: Path,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    sandbox.faults(status=503)
    told: list[SegOpsError] = []
    client = make_client(max_retries=0, on_error=told.append)
    track(client, 30)
    client.flush(timeout=60)
    for each in queue_path.parent.glob("outbox.db*"):
        if each.suffix not in {".lock", ".sender"}:
            each.unlink()
    track(client, 1, first=30)
    sandbox.faults()
    assert client.flush(timeout=30).ok
    assert sorted(numbers(sandbox)) == list(range(31))
    wait_until(lambda: any(isinstance(error, ReplacedOutboxError) for error in told))
    (incident,) = [error for error in told if isinstance(error, ReplacedOutboxError)]
    assert "30 events were carried over" in str(incident)
    client.shutdown()
    assert make_client().stats().pending == 0


def test_a_file_that_was_replaced_while_it_was_open_is_noticed(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path, tmp_path: Path
) -> None:
    sandbox.faults(status=503)
    other = make_client(queue_path=tmp_path / "other.db", max_retries=0)
    track(other, 2, first=100)
    leave(other)
    told: list[SegOpsError] = []
    client = make_client(max_retries=0, on_error=told.append)
    track(client, 1)
    (tmp_path / "other.db").replace(queue_path)
    for each in queue_path.parent.glob("outbox.db-*"):
        each.unlink()
    track(client, 1, first=1)
    sandbox.faults()
    assert client.flush(timeout=30).ok
    assert {1, 100, 101} <= set(numbers(sandbox))
    assert any(isinstance(error, ReplacedOutboxError) for error in told)


@pytest.mark.parametrize("is_log_left", [True, False])
def test_what_waits_in_a_file_that_was_replaced_is_kept_and_the_other_one_is_read_as_it_is(
    queue_path: Path, *, is_log_left: bool
) -> None:
    backup = queue_path.with_name("backup.db")
    other = open_outbox(backup)
    other.commit.append([b'{"n":%d}' % number for number in range(100, 140)])
    other.close()
    outbox = open_outbox(queue_path)
    outbox.commit.append([b'{"n":%d}' % number for number in range(40)])
    backup.replace(queue_path)
    if not is_log_left:
        for each in companions(queue_path):
            each.unlink()
    outbox.commit.append([b'{"n":"new"}'])
    (told,) = [each for each in outbox.pop_incidents() if isinstance(each, ReplacedOutboxError)]
    (kept,) = queue_path.parent.glob("outbox.db.damaged-*")
    assert kept.name in str(told)
    assert f"segops-durable adopt {kept}" in told.hint
    assert drain(outbox)[0] == {
        *(b'{"n":%d}' % number for number in range(100, 140)),
        b'{"n":"new"}',
    }
    before = open_outbox(kept)
    outbox.adopt(before)
    before.close()
    assert drain(outbox)[0] == {b'{"n":%d}' % number for number in range(40)}
    outbox.close()


def test_nothing_is_kept_of_a_file_that_was_replaced_and_had_nothing(queue_path: Path) -> None:
    backup = queue_path.with_name("backup.db")
    open_outbox(backup).close()
    outbox = open_outbox(queue_path)
    backup.replace(queue_path)
    outbox.commit.append([b'{"n":"new"}'])
    assert [type(each) for each in outbox.pop_incidents()][-1:] == [ReplacedOutboxError]
    assert not [*queue_path.parent.glob("outbox.db.damaged-*")]
    assert drain(outbox)[0] == {b'{"n":"new"}'}
    outbox.close()


def test_a_file_that_is_replaced_by_an_empty_one_while_it_is_open_loses_nothing(
    queue_path: Path,
) -> None:
    outbox = open_outbox(queue_path)
    outbox.commit.append([b'{"n":%d}' % number for number in range(40)])
    queue_path.unlink()
    queue_path.touch(mode=0o600)
    outbox.commit.append([b'{"n":"new"}'])
    assert drain(outbox)[0] == {*(b'{"n":%d}' % number for number in range(40)), b'{"n":"new"}'}
    assert any(isinstance(error, ReplacedOutboxError) for error in outbox.pop_incidents())
    outbox.close()


def test_a_file_that_is_deleted_takes_nothing_that_is_stored_from_then_on(
    queue_path: Path,
) -> None:
    outbox = open_outbox(queue_path)
    for number in range(5):
        outbox.commit.append([b'{"n":%d}' % number])
        outbox._store._live._look_at = math.inf  # it was seen at its path a moment ago
        queue_path.unlink()
        outbox.commit.append([b'{"n":"%d, after"}' % number])
    outbox.close()
    again = open_outbox(queue_path)
    stored = {b'{"n":%d}' % number for number in range(5)}
    assert drain(again)[0] == stored | {b'{"n":"%d, after"}' % number for number in range(5)}
    again.close()


def test_a_file_that_was_deleted_is_carried_over_however_often_that_fails_before(
    queue_path: Path,
) -> None:
    outbox = open_outbox(queue_path)
    outbox.commit.append([b'{"n":%d}' % number for number in range(40)])
    in_the_way = queue_path.with_name("outbox.db.salvage")
    in_the_way.mkdir()  # where the new file would be made
    queue_path.unlink()
    for _ in range(2):
        with pytest.raises(StorageError):
            outbox.commit.append([b'{"n":"refused"}'])
    in_the_way.rmdir()
    outbox.commit.append([b'{"n":"new"}'])
    assert drain(outbox)[0] == {*(b'{"n":%d}' % number for number in range(40)), b'{"n":"new"}'}
    assert "40 events were carried over" in str(outbox.pop_incidents())
    outbox.close()


def test_a_file_is_missed_at_once_also_where_others_have_it_open_in_this_process(
    queue_path: Path,
) -> None:
    closed, other = open_outbox(queue_path), open_outbox(queue_path)
    closed.close()  # while another is open: SQLite keeps its descriptor, and gives it to the next
    outbox = open_outbox(queue_path)
    outbox.commit.append([b'{"n":1}'])
    outbox._store._live._look_at = math.inf  # it was seen at its path a moment ago
    queue_path.unlink()
    outbox.commit.append([b'{"n":2}'])
    assert queue_path.exists()
    other.close()
    outbox.close()
    again = open_outbox(queue_path)
    assert drain(again)[0] == {b'{"n":1}', b'{"n":2}'}
    again.close()


def test_a_file_that_is_moved_away_has_what_is_stored_until_that_is_noticed(
    queue_path: Path,
) -> None:
    outbox = open_outbox(queue_path)
    outbox.commit.append([b'{"n":"before"}'])
    moved = queue_path.with_name("moved.db")
    for end in ("-wal", "-shm", ""):
        queue_path.with_name(queue_path.name + end).rename(moved.with_name(moved.name + end))
    numbers = count()
    while not any(isinstance(each, ReplacedOutboxError) for each in outbox.pop_incidents()):
        outbox.commit.append([b'{"n":%d}' % next(numbers)])
    outbox.close()
    stored = {b'{"n":"before"}', *(b'{"n":%d}' % number for number in range(next(numbers)))}
    here, there = open_outbox(queue_path), open_outbox(moved)
    assert drain(here)[0] | drain(there)[0] == stored
    here.close()
    there.close()
