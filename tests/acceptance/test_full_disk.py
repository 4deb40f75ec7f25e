"""A disk that is full, or fails: nothing acknowledged is lost, and nothing is sent twice."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from powercut import build

from segops_durable import QueueFullError, StorageError
from support.events import leave, numbers, track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python

PRODUCER = """
import os, sys, threading
from segops_durable import Event, SegOpsClient, StorageError

url, queue_path, stop = sys.argv[1:]
client = SegOpsClient(url, "sk_test", queue_path=queue_path, flush_interval=0.02,
                      on_error=lambda error: None)
number = 0
while not os.path.exists(stop):
    try:
        client.track(Event("u", "e", payload={"n": number}))
        os.write(1, b"%d\\n" % number)
    except StorageError:
        os.write(1, b"failed\\n")
    number += 1
    threading.Event().wait(0.001)
client.shutdown(30)
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("error", "seconds"), [(errno.ENOSPC, 5.0), (errno.EIO, 1.0), (errno.EDQUOT, 1.0)]
)
def test_seconds_of_a_failing_disk_lose_nothing_and_double_nothing(
    sandbox: Sandbox,
    make_client: Callable[..., SegOpsClient],
    queue_path: Path,
    tmp_path: Path,
    error: int,
    seconds: float,
) -> None:
    library = build(tmp_path)
    if library is None:
        pytest.skip("there is no C compiler, or this is not Linux")
    failing, stop = tmp_path / "failing", tmp_path / "stop"
    sandbox.faults(delay=0.2)  # so that more comes in than goes out, and the file has to grow
    with subprocess.Popen(
        [sys.executable, "-c", PRODUCER, sandbox.url, queue_path, stop],
        env={
            **os.environ,
            "LD_PRELOAD": str(library),
            "DISKFAULT_DIR": str(queue_path.parent),
            "DISKFAULT_FAIL": str(failing),
            "DISKFAULT_ERRNO": str(error),
        },
        stdout=subprocess.PIPE,
    ) as producer:
        assert producer.stdout is not None
        lines = [producer.stdout.readline() for _ in range(300)]
        failing.touch()
        timer = threading.Timer(seconds, failing.unlink)
        timer.start()
        while failing.exists():
            lines.append(producer.stdout.readline())
        lines += [producer.stdout.readline() for _ in range(300)]
        sandbox.faults()
        stop.touch()
        lines += producer.stdout.readlines()
        assert producer.wait(60) == 0
    acknowledged = {int(line) for line in lines if line != b"failed\n"}
    assert lines.count(b"failed\n") > 0
    assert b"failed\n" not in lines[-200:]  # it went on by itself
    assert make_client().flush(timeout=60).ok
    received = Counter(numbers(sandbox))
    assert acknowledged <= set(received)
    assert max(received.values()) == 1


def fill(path: Path) -> None:
    """Take all the room that is left."""
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    with suppress(OSError):
        while os.write(fd, bytes(512)):
            continue
    os.close(fd)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.long
def test_a_disk_that_the_outbox_itself_has_filled_is_drained_event_by_event(
    sandbox: Sandbox, make_client: Callable[..., SegOpsClient], small_disk: Path
) -> None:
    sandbox.stop()
    path = small_disk / "queue" / "outbox.db"
    client = make_client(queue_path=path, max_retries=0)
    stored = 0
    with pytest.raises(QueueFullError, match="disk is full") as caught:  # noqa: PT012 - a loop
        while True:
            track(client, 1, first=stored)
            stored += 1
    assert "Make room" in caught.value.hint
    assert stored > 1000
    # and whatever room is left is taken by somebody else
    fill(small_disk / "somebody-elses")
    sandbox.start()
    result = client.flush(timeout=60)
    assert result.pending == 0, client.stats()
    assert Counter(numbers(sandbox)) == Counter(range(stored))
    (small_disk / "somebody-elses").unlink()
    track(client, 1, first=stored)
    assert client.flush(timeout=30).ok
    client.shutdown()


def test_an_outbox_that_was_deleted_is_carried_over_once_the_disk_has_room(
    sandbox: Sandbox, make_client: Callable[..., SegOpsClient], small_disk: Path
) -> None:
    sandbox.stop()
    path = small_disk / "queue" / "outbox.db"
    client = make_client(queue_path=path, max_retries=0)
    track(client, 2000)
    fill(small_disk / "somebody-elses")
    path.unlink()
    for _ in range(2):
        with pytest.raises(StorageError):
            track(client, 1, first=-1)
    (small_disk / "somebody-elses").unlink()
    track(client, 1, first=2000)
    sandbox.start()
    assert client.flush(timeout=60).ok
    assert Counter(numbers(sandbox)) == Counter(range(2001))
    client.shutdown()


def test_a_disk_that_somebody_else_has_filled_is_drained_as_well(
    sandbox: Sandbox, make_client: Callable[..., SegOpsClient], small_disk: Path
) -> None:
    sandbox.stop()
    client = make_client(queue_path=small_disk / "queue" / "outbox.db", max_retries=0)
    track(client, 500)
    fill(small_disk / "somebody-elses")
    sandbox.start()
    assert client.flush(timeout=60).ok
    assert Counter(numbers(sandbox)) == Counter(range(500))
    client.shutdown()


def test_a_disk_that_was_read_only_for_a_while_is_used_again(
    sandbox: Sandbox, make_client: Callable[..., SegOpsClient], small_disk: Path
) -> None:
    def remount(how: str) -> None:
        command = ["mount", "-o", f"remount,{how}", str(small_disk)]
        subprocess.run(command, check=True, capture_output=True)

    sandbox.faults(status=503)
    client = make_client(queue_path=small_disk / "queue" / "outbox.db", max_retries=0)
    track(client, 1)
    leave(client)  # a file that is open for writing keeps the disk from being remounted
    remount("ro")
    with pytest.raises(StorageError):
        make_client(queue_path=small_disk / "queue" / "outbox.db")
    remount("rw")
    sandbox.faults()
    client = make_client(queue_path=small_disk / "queue" / "outbox.db")
    track(client, 1, first=1)
    assert client.flush(timeout=30).ok
    assert numbers(sandbox) == [0, 1]
    client.shutdown()
