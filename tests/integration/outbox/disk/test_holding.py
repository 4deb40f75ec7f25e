"""No lock of SQLite's is lost for a file that is read beside it: the counts hold, and in time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from segops_durable.outbox.disk import holding
from segops_durable.outbox.disk.files import file_id
from segops_durable.outbox.disk.holding import hold, is_held, let_go, opened
from segops_durable.system.descriptors import FileId

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


def while_another_thread(work: Callable[[], object], step: Callable[[], object]) -> object:
    """Take a step once another thread has worked, if it does not wait for what is done here."""
    other = threading.Thread(target=work)
    other.start()
    other.join(0.5)
    return step()


def test_a_database_that_two_threads_open_at_once_is_held_by_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "outbox.db"
    path.touch()
    file = file_id(path)
    assert file is not None
    is_first = iter([True])

    class Slow(Counter[FileId]):
        """Lets another thread come between the look at a number, and the next one."""

        def __getitem__(self, key: FileId) -> int:
            found = super().__getitem__(key)
            if next(is_first, False):
                while_another_thread(lambda: hold(file), lambda: None)
            return found

    monkeypatch.setattr(holding, "_held", Slow())
    hold(file)
    deadline = time.monotonic() + 20
    while holding._held[file] < 2:
        assert time.monotonic() < deadline
    let_go(file)
    assert is_held(path)
    let_go(file)
    assert not is_held(path)


def test_a_database_that_is_opened_while_another_thread_ends_to_read_it_keeps_its_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "outbox.db"
    path.touch()
    file = file_id(path)
    assert file is not None
    steps: list[str] = []

    def open_it() -> None:
        hold(file)
        steps.append("opened, and locked")  # what is closed from here on takes the locks away

    def close(fd: int) -> None:
        while_another_thread(open_it, lambda: os.close(fd))
        steps.append("closed")

    slow = SimpleNamespace(**{**vars(os), "close": close})
    with opened(path):
        monkeypatch.setattr(holding, "os", slow)
    deadline = time.monotonic() + 20
    while len(steps) < 2:
        assert time.monotonic() < deadline
    assert steps == ["closed", "opened, and locked"]
    monkeypatch.undo()
    let_go(file)


# by itself: which hook of a fork comes first depends on what was imported first
FORKING = """
import os, signal, sys, threading
from segops_durable import SegOpsClient

client = SegOpsClient(sys.argv[1], "sk_test", queue_path=sys.argv[2], lock_timeout=0.2)
event = {"user_id": "u-1", "event_type": "page_viewed"}
client.track(event)
from segops_durable.outbox.disk.holding import hold, let_go

is_inside, is_forking = threading.Event(), threading.Event()
usually = client._delivery.before_fork

def before_fork():
    is_forking.set()
    usually()

def open_another(_writer):
    is_inside.set()
    is_forking.wait(60)
    let_go(hold((0, 0)))

client._delivery.before_fork = before_fork
other = threading.Thread(target=client._outbox._store.transact, args=(open_another,))
other.start()
is_inside.wait(60)
child = os.fork()
if not child:
    status = 1
    try:
        signal.alarm(60)
        client.track(event)
        status = 0
    finally:
        os._exit(status)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
other.join()
assert client.flush(60).ok and client.stats().accepted_total == 2
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_waits_for_no_thread_that_waits_for_it_to_read_beside_the_file(
    sandbox: Sandbox, queue_path: Path
) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKING, sandbox.url, str(queue_path)]
    assert subprocess.run(command, timeout=200, check=False).returncode == 0
