"""A process that is stopped, or hangs, while it holds the outbox keeps nobody waiting for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from segops_durable import BusyOutboxError, SegOpsClient
from support.events import track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing can be stopped"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.one_python,
]

IN_A_COMMIT = """
import sys
from segops_durable import SegOpsClient
client = SegOpsClient(sys.argv[2], "sk_test", queue_path=sys.argv[1], flush_interval=300)
def hold(_writer):
    print("inside", flush=True)
    sys.stdin.read()
client._outbox._store.transact(hold)
"""

WITH_SQLITE_ALONE = """
import sqlite3, sys
file = sqlite3.connect(sys.argv[1], isolation_level=None)
file.execute("BEGIN IMMEDIATE")
print("inside", flush=True)
sys.stdin.read()
"""

AT_WORK = """
import sys, time
from segops_durable import SegOpsClient
client = SegOpsClient(sys.argv[2], "sk_test", queue_path=sys.argv[1], flush_interval=300)
def work(_writer):
    print("inside", flush=True)
    until = time.monotonic() + float(sys.argv[3])
    while time.monotonic() < until:
        pass
client._outbox._store.transact(work)
"""


@contextmanager
def holder(script: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is in the middle of a transaction."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"inside\n"
            yield process
        finally:
            process.kill()


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)


@pytest.mark.parametrize("script", [IN_A_COMMIT, WITH_SQLITE_ALONE])
def test_a_call_that_meets_a_stopped_process_raises_and_names_it(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path, script: str
) -> None:
    client = make_client(lock_timeout=0.4)
    calls: list[Callable[[], object]] = [
        lambda: track(client, 1),
        lambda: client.discard_dead_letters([1]),
        client.reset,
        lambda: client.set_api_key("sk_other"),
        lambda: client.forget("u-1"),
        lambda: client.track_many([], checkpoint=("job", 1)),
    ]
    if script == IN_A_COMMIT:
        calls.append(lambda: make_client(lock_timeout=0.4))
    with holder(script, queue_path, sandbox.url) as process:
        stop(process)
        for call in calls:
            began = time.monotonic()
            with pytest.raises(BusyOutboxError, match=f"process {process.pid}, which is") as caught:
                call()
            assert 0.3 < time.monotonic() - began < 30
            assert (caught.value.pid, caught.value.is_stopped) == (process.pid, True)
            assert f"kill -CONT {process.pid}" in caught.value.hint
        process.send_signal(signal.SIGCONT)
        process.communicate(b"")  # it ends its transaction
        track(client, 1)
    assert client.flush(timeout=20).ok


def test_a_stopped_process_hinders_neither_a_fork_nor_a_shutdown(
    sandbox: Sandbox, queue_path: Path
) -> None:
    client = SegOpsClient(sandbox.url, "sk_test", queue_path=queue_path, lock_timeout=0.5)
    with holder(IN_A_COMMIT, queue_path, sandbox.url) as process:
        stop(process)
        waiting = threading.Thread(target=pytest.raises, args=(BusyOutboxError, track, client, 1))
        waiting.start()
        began = time.monotonic()
        child = os.fork()
        if child == 0:  # pragma: no cover - the child leaves without a report
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        with suppress(BusyOutboxError):  # the fork had closed the file
            client.shutdown(0.2)
        assert time.monotonic() - began < 30
        waiting.join(60)


def test_every_thread_that_waits_for_a_stopped_process_is_told_at_once(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    client = make_client(lock_timeout=2.0)
    outcomes: list[BusyOutboxError] = []

    def work() -> None:
        with pytest.raises(BusyOutboxError) as caught:
            track(client, 1)
        outcomes.append(caught.value)

    threads = [threading.Thread(target=work) for _ in range(16)]
    with holder(IN_A_COMMIT, queue_path, sandbox.url) as process:
        stop(process)
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert time.monotonic() - began < 16  # not one after the other
    assert {each.pid for each in outcomes} == {process.pid}
    assert len(outcomes) == 16


@pytest.mark.one_python
def test_a_process_that_works_for_long_is_waited_for(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    client = make_client(lock_timeout=1.0)
    with holder(AT_WORK, queue_path, sandbox.url, 3.0):
        track(client, 1)  # three times as long
    assert client.stats().pending == 1


def test_a_thread_that_hangs_in_a_commit_keeps_no_other_thread_waiting_for_ever(
    make_client: Callable[..., SegOpsClient],
) -> None:
    client = make_client(lock_timeout=0.05)
    is_inside, may_go_on = threading.Event(), threading.Event()

    def hang(_writer: object) -> None:
        is_inside.set()
        may_go_on.wait(60)

    hanging = threading.Thread(target=client._outbox._store.transact, args=(hang,))
    hanging.start()
    assert is_inside.wait(60)
    try:
        began = time.monotonic()
        with pytest.raises(BusyOutboxError, match="locked"):
            track(client, 1)
        assert time.monotonic() - began < 30
    finally:
        may_go_on.set()
        hanging.join(60)
    track(client, 1)
    assert client.stats().pending == 1
