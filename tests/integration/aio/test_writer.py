"""The thread that stores: a thousand tasks share a few syncs, and what it acknowledged is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from proof.shims import build

from segops_durable import BusyOutboxError, NoThreadError, StorageError
from support.aio import at_once, track, tracking
from support.events import numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.aio import AsyncSegOpsClient
    from segops_durable.sandbox import Sandbox

    Run = Callable[..., Any]
    Make = Callable[..., AsyncSegOpsClient]

MOST_SYNCS = 20

COUNT_SYNCS = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int counted(int failed) {
    int file = open(getenv("SYNCS"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (write(file, ".", 1) != 1) abort();
    close(file);
    return failed;
}

int fsync(int fd) { return counted((int)syscall(SYS_fsync, fd)); }
int fdatasync(int fd) { return counted((int)syscall(SYS_fdatasync, fd)); }
"""

THOUSAND = """
import anyio, os, sys
from segops_durable.aio import AsyncSegOpsClient

url, path, loop = sys.argv[1:]
syncs = os.environ["SYNCS"]

async def main():
    client = AsyncSegOpsClient(url, "sk_test", queue_path=path, flush_interval=600)
    await client.start()

    async def track(number):
        await client.track(user_id="u", event_type="page_viewed", payload={"n": number})

    await track(0)
    before = os.path.getsize(syncs)
    async with anyio.create_task_group() as tasks:
        for number in range(1, 1001):
            tasks.start_soon(track, number)
    print(os.path.getsize(syncs) - before, flush=True)
    await anyio.sleep_forever()

anyio.run(main, backend=loop)
"""


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_thousand_that_track_at_once_share_a_few_syncs_and_survive_a_kill(
    queue_path: Path,
    tmp_path: Path,
    sandbox: Sandbox,
    make_client: Callable[..., SegOpsClient],
    loop: str,
) -> None:
    source = tmp_path / "countsync.c"
    source.write_text(COUNT_SYNCS)
    library = build(tmp_path, source)
    if library is None:
        pytest.skip("there is no C compiler, or this is not Linux")
    environment = {**os.environ, "LD_PRELOAD": str(library), "SYNCS": str(tmp_path / "syncs")}
    sandbox.stop()
    with subprocess.Popen(
        [sys.executable, "-c", THOUSAND, sandbox.url, queue_path, loop],
        env=environment,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        syncs = int(process.stdout.readline())
        process.kill()
    assert 1 <= syncs <= MOST_SYNCS
    sandbox.start()
    assert make_client().flush(timeout=60).ok
    assert sorted(numbers(sandbox)) == list(range(1001))


HOLDER = """
import fcntl, sys
with open(sys.argv[1], "rb") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(lock: str) -> Iterator[None]:
    """Have a process hold a lock, and be stopped."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            holder.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="it locks otherwise")
def test_while_the_outbox_is_held_each_hears_so_and_the_loop_and_the_client_go_on(
    run: Run, make_async: Make, queue_path: Path, sandbox: Sandbox
) -> None:
    async def main() -> None:
        async with make_async(lock_timeout=0.2) as client:
            with held(f"{queue_path}.lock"):
                errors = await at_once(tracking(client, range(10)))
            assert {type(error) for error in errors} == {BusyOutboxError}
            assert len({id(error) for error in errors}) == 10
            await track(client, 10)
            assert (await client.flush(20)).ok

    run(main)
    assert numbers(sandbox) == [10]


@pytest.mark.skipif(sys.platform == "win32", reason="it locks otherwise")
def test_what_waits_for_the_thread_when_a_shutdown_begins_is_stored(
    run: Run, make_async: Make, queue_path: Path, sandbox: Sandbox
) -> None:
    errors: list[Any] = []

    async def main() -> None:
        client = make_async(lock_timeout=60)
        await client.start()

        async def track_in_turns() -> None:
            async with anyio.create_task_group() as tasks:
                for number in range(5):
                    tasks.start_soon(track, client, number)
                    await anyio.sleep(0.02)

        async with anyio.create_task_group() as tasks:
            with held(f"{queue_path}.lock"):
                tasks.start_soon(track_in_turns)
                await anyio.sleep(0.2)
                tasks.start_soon(client.shutdown, 60)
                await anyio.sleep(0.2)
        errors.append((await client.shutdown()).pending)

    run(main)
    assert errors == [0]
    assert numbers(sandbox) == list(range(5))


def test_where_no_thread_can_be_had_nothing_is_stored_and_that_is_said(
    run: Run, make_async: Make, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    def fail(thread: threading.Thread) -> None:
        if thread.name.startswith("segops-"):
            raise RuntimeError("can't start new thread")
        started(thread)

    started = threading.Thread.start

    async def main() -> None:
        client = make_async()
        with monkeypatch.context() as no_threads:
            no_threads.setattr(threading.Thread, "start", fail)
            errors = await at_once([client.start, *tracking(client, range(3))])
            assert [type(error) for error in errors] == [StorageError] * 4
        async with client:
            with monkeypatch.context() as no_threads:
                no_threads.setattr(threading.Thread, "start", fail)
                with pytest.raises(NoThreadError, match="nothing was done"):
                    await client.flush()
            await track(client, 3)

    run(main)
    assert numbers(sandbox) == [3]
