"""What is told of the file, on a disk that fails."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

from segops_durable import DamagedOutboxError, State
from support.damaged import fill_with_noise
from support.events import leave, numbers, track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from segops_durable import SegOpsClient, SegOpsError
    from segops_durable.sandbox import Sandbox

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
        assert has_failed_often.wait(20)
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
        assert has_failed.wait(20)
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
