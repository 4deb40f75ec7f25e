"""Ctrl-C in the midst of a fork: Python forks all the same, so both processes have to go on."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ClosedError, SegOpsClient
from segops_durable.outbox.sender_lock import SenderLock
from support.children import in_child, status_of
from support.events import numbers, track
from support.interrupts import Interruption

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
    # Python warns of what is tested here
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def interrupted_in_child(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, work: Callable[[], object]
) -> int:
    """As `in_child`, with Ctrl-C where a hook of the fork calls a method of `owner`."""
    raised: list[Any] = []
    usually = getattr(owner, name)
    is_first = iter([True])

    def interrupt() -> None:
        if next(is_first, False):
            signal.raise_signal(signal.SIGINT)
        usually()

    # whoever started the tests in the background has it ignored
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "unraisablehook", lambda each: raised.append(each.exc_type))
            patched.setattr(owner, name, interrupt)
            status = status_of(in_child(work))
    finally:
        signal.signal(signal.SIGINT, usual)
    assert raised == [KeyboardInterrupt]
    return status


def test_the_other_clients_let_go_all_the_same(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clients = [make_client(queue_path=tmp_path / name / "outbox.db") for name in "abc"]
    # as forks go through them, so that others come before it and after it
    before, interrupted, after = sorted(clients, key=lambda each: id(each._delivery))
    for number, client in enumerate((before, interrupted, after)):
        track(client, 1, first=number)

    def work() -> None:
        track(before, 1, first=3)
        track(after, 1, first=4)
        with pytest.raises(ClosedError):
            track(interrupted, 1, first=99)

    assert interrupted_in_child(monkeypatch, interrupted._outbox, "before_fork", work) == 0
    for number, client in enumerate((before, interrupted, after), start=5):
        track(client, 1, first=number)
        assert client.flush(timeout=30).ok
    assert sorted(numbers(sandbox)) == list(range(8))


def test_a_client_that_let_go_in_an_earlier_fork_is_not_taken_to_have_let_go_in_this_one(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child would use a file that it inherited open: what the parent commits is lost then."""
    client = make_client()
    assert status_of(in_child(lambda: track(client, 1))) == 0
    track(client, 1, first=1)

    def work() -> None:
        with pytest.raises(ClosedError):
            track(client, 1, first=99)

    assert interrupted_in_child(monkeypatch, client._outbox, "before_fork", work) == 0
    track(client, 1, first=2)
    assert status_of(in_child(lambda: track(client, 1, first=3))) == 0
    assert client.flush(timeout=30).ok
    assert sorted(numbers(sandbox)) == list(range(4))


@pytest.mark.parametrize("name", ["keep_readers_out", "before_fork"])
def test_locks_that_were_taken_are_given_back(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    client = make_client(lock_timeout=0.2)
    track(client, 1)
    owner = {
        "keep_readers_out": client._outbox._store._live,  # asked once the gate is held
        "before_fork": client._outbox.sender_lock,  # once the readers are kept out, too
    }[name]
    assert interrupted_in_child(monkeypatch, owner, name, lambda: None) == 0
    with ThreadPoolExecutor(1) as other:
        other.submit(track, client, 1, 1).result(60)
    assert client.flush(timeout=30).ok
    assert numbers(sandbox) == [0, 1]


@pytest.mark.parametrize("part", ["delivery", "outbox", "store", "gate"])
def test_a_ctrl_c_that_came_during_the_fork_leaves_no_client_locked(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
) -> None:
    """The interpreter raises it in the hooks that follow the fork: nothing else runs there."""
    clients = [make_client(queue_path=tmp_path / name / "outbox.db") for name in "abc"]
    for number, client in enumerate(clients):
        track(client, 1, first=number)
    interrupted = clients[1]
    owner: object = {
        "delivery": interrupted._delivery,
        "outbox": interrupted._outbox,
        "store": interrupted._outbox._store,
        "gate": interrupted._outbox._store.gate,
    }[part]
    name = "let_go" if part == "gate" else "after_fork_in_parent"

    def work() -> None:
        for client in clients:
            track(client, 1, first=clients.index(client) + 3)

    assert interrupted_in_child(monkeypatch, owner, name, work) == 0
    with ThreadPoolExecutor(1) as other:
        for number, client in enumerate(clients, start=6):
            other.submit(track, client, 1, number).result(60)
    for number, client in enumerate(clients, start=9):
        track(client, 1, first=number)
        assert client.flush(timeout=30).ok
    assert sorted(numbers(sandbox)) == list(range(12))


def test_a_ctrl_c_in_the_child_leaves_it_no_client_of_its_parent(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client()
    track(client, 1)
    usually = client._outbox.commit.after_fork_in_child
    raised: list[Any] = []

    def interrupt() -> None:
        if not raised:
            signal.raise_signal(signal.SIGINT)
        usually()

    def work() -> None:
        assert raised == [KeyboardInterrupt]
        track(client, 1, first=1)
        assert client._delivery.process_id == os.getpid()

    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(sys, "unraisablehook", lambda each: raised.append(each.exc_type))
        monkeypatch.setattr(client._outbox.commit, "after_fork_in_child", interrupt)
        assert status_of(in_child(work)) == 0
    finally:
        signal.signal(signal.SIGINT, usual)
    assert raised == []
    track(client, 1, first=2)
    assert client.flush(timeout=30).ok
    assert sorted(numbers(sandbox)) == [0, 1, 2]


def test_a_fork_in_a_handler_that_interrupted_the_sender_lock_does_not_wait_for_it(
    queue_path: Path,
) -> None:
    queue_path.parent.mkdir()
    lock = SenderLock(queue_path)
    assert lock.try_acquire()

    def fork() -> None:
        lock.before_fork()
        lock.after_fork_in_parent()

    interruption = Interruption(fork)

    def interrupt_at_each() -> None:
        at = 1
        while interruption.left <= 0:  # until there are fewer instructions than that
            interruption.run(lambda: lock.leave_note({"state": "idle"}), at)
            at += 1

    thread = threading.Thread(target=interrupt_at_each, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), interruption.place
    lock.release()
