"""Ctrl-C in the midst of a fork: Python forks all the same, so both processes have to go on."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ClosedError, SegOpsClient
from support.events import numbers, track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
    # Python warns of what is tested here
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def in_child(work: Callable[[], object]) -> int:
    """Fork, work in the child, and end it; return its status."""
    child = os.fork()
    if not child:
        status = 1
        try:
            signal.alarm(60)  # a child that hangs ends, and tells
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - nobody else would hear of it
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def interrupted_in_child(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, work: Callable[[], object]
) -> int:
    """As `in_child`, with Ctrl-C where the hook before the fork calls a method of `owner`."""
    raised: list[Any] = []

    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    # whoever started the tests in the background has it ignored
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "unraisablehook", lambda each: raised.append(each.exc_type))
            patched.setattr(owner, name, interrupt)
            status = in_child(work)
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
    assert in_child(lambda: track(client, 1)) == 0
    track(client, 1, first=1)

    def work() -> None:
        with pytest.raises(ClosedError):
            track(client, 1, first=99)

    assert interrupted_in_child(monkeypatch, client._outbox, "before_fork", work) == 0
    track(client, 1, first=2)
    assert in_child(lambda: track(client, 1, first=3)) == 0
    assert client.flush(timeout=30).ok
    assert sorted(numbers(sandbox)) == list(range(4))


def test_locks_that_were_taken_are_given_back(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(lock_timeout=0.2)
    track(client, 1)
    readers = client._outbox._store._live  # asked once the gate is held
    assert interrupted_in_child(monkeypatch, readers, "keep_readers_out", lambda: None) == 0
    with ThreadPoolExecutor(1) as other:
        other.submit(track, client, 1, 1).result(60)
    assert client.flush(timeout=30).ok
    assert numbers(sandbox) == [0, 1]
