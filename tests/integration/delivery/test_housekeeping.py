"""What is told of the file, on a disk that fails."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

from segops_durable import DamagedOutboxError, State, StorageError
from support.damaged import fill_with_noise
from support.events import leave, numbers, track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from segops_durable import SegOpsClient, SegOpsError
    from segops_durable.sandbox import Sandbox
    from support.rig import Rig

NOTE = "segops_durable.outbox.store.store.note_as_told"


def test_a_disk_that_fails_the_note_that_an_incident_was_told_ends_no_thread(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    queue_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures = 0
    has_failed_often = threading.Event()

    def fail(_writer: sqlite3.Connection) -> None:
        nonlocal failures
        failures += 1
        if failures >= 3:
            has_failed_often.set()
        raise sqlite3.OperationalError("database or disk is full")

    leave(make_client())
    fill_with_noise(queue_path)
    told: list[SegOpsError] = []
    with monkeypatch.context() as failing:
        failing.setattr(NOTE, fail)
        client = make_client(on_error=told.append, flush_interval=0.05)
        assert has_failed_often.wait(60)
        track(client, 1)
        assert client.flush(timeout=20).ok
        assert client.stats().state in {State.IDLE, State.SENDING}
    track(client, 1, first=1)
    assert client.flush(timeout=20).ok  # the same thread goes on
    assert numbers(sandbox) == [0, 1]
    assert [type(each) for each in told] == [DamagedOutboxError]


def test_a_client_that_ends_on_such_a_disk_lets_others_send(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    queue_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_failed = threading.Event()

    def fail(_writer: sqlite3.Connection) -> None:
        has_failed.set()
        raise sqlite3.OperationalError("database or disk is full")

    leave(make_client())
    fill_with_noise(queue_path)
    with monkeypatch.context() as failing:
        failing.setattr(NOTE, fail)
        first = make_client(flush_interval=0.05)
        other = make_client()
        assert has_failed.wait(60)
        first.shutdown(10)
    track(other, 1)
    assert other.flush(timeout=20).ok
    assert numbers(sandbox) == [0]


def test_whatever_goes_wrong_between_rounds_is_told_and_ends_no_thread(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[SegOpsError] = []
    client = make_client(on_error=told.append, flush_interval=0.05)
    failures = threading.Semaphore(0)

    def fail() -> list[SegOpsError]:
        failures.release()
        raise LookupError("a fault of our own")

    with monkeypatch.context() as failing:
        failing.setattr(client._outbox, "pop_incidents", fail)
        assert all(failures.acquire(timeout=60) for _ in range(4))  # wherever it is asked for
    track(client, 1)
    assert client.flush(timeout=60).ok
    assert numbers(sandbox) == [0]
    assert "LookupError: a fault of our own" in str(told[0])


def test_a_deleted_file_is_noticed_by_the_next_look_and_by_each_round_that_is_asked_for(
    make_rig: Callable[..., Rig], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounds of one batch each, as they are under load, do not look after the file each time."""
    rig = make_rig(sandbox.url)
    flusher, looks = rig.delivery.flusher, 0
    look_after = rig.outbox.look_after

    def look() -> None:
        nonlocal looks
        looks += 1
        look_after()

    monkeypatch.setattr(rig.outbox, "look_after", look)
    flusher._guarded_round()
    flusher._guarded_round()
    assert looks == 1
    rig.outbox.path.unlink()
    flusher._guarded_round()
    assert not rig.outbox.path.exists()
    rig.clock.move(0.2)
    flusher._guarded_round()
    assert looks == 2
    assert rig.outbox.path.exists()
    rig.outbox.path.unlink()
    flusher.request_round()
    flusher._guarded_round()
    assert looks == 3
    assert rig.outbox.path.exists()


def test_a_look_at_the_file_that_failed_is_made_again_by_the_next_round(
    make_rig: Callable[..., Rig], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(sandbox.url)
    looks = 0

    def fail() -> None:
        nonlocal looks
        looks += 1
        raise StorageError("the disk fails", path=str(rig.outbox.path))

    monkeypatch.setattr(rig.outbox, "look_after", fail)
    rig.delivery.flusher._guarded_round()
    rig.delivery.flusher._guarded_round()
    assert looks == 2


def test_what_a_round_looks_at_is_not_counted_row_by_row(make_rig: Callable[..., Rig]) -> None:
    """With many dead letters each round would take as long as it takes to read them."""
    rig = make_rig("http://127.0.0.1:9")
    queue = rig.outbox._store._live.current()
    said: list[str] = []
    for connection in (queue.reader, queue.writer):
        connection.set_trace_callback(said.append)
    rig.delivery.flusher._guarded_round()
    assert any("tally" in each for each in said)
    assert [each for each in said if "count(" in each] == []
