"""A program that closes descriptors which are not its own loses nothing, and harms nobody."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from support.events import numbers, track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(sys.platform != "linux", reason="nothing tells whose they are"),
]

PROGRAM = """
import fcntl, os, signal, sys, threading
from segops_durable import SegOpsClient, SegOpsError

pause = threading.Event()
url, path, victims, stage, is_reused = sys.argv[1:]

def close_all():
    os.closerange(3, 200)
    if is_reused == "reused":
        for number in range(60):  # they get the numbers of what was closed
            fd = os.open(f"{victims}/{number}", os.O_RDWR | os.O_CREAT)
            os.write(fd, b"theirs")
            os.set_inheritable(fd, True)
            opened.append(fd)

def look():
    for number, fd in enumerate(opened):
        found = os.fstat(fd)  # nobody has closed it
        assert os.path.samestat(found, os.stat(f"{victims}/{number}")), number
        assert os.pread(fd, 100, 0) == b"theirs", number
        other = os.open(f"{victims}/{number}", os.O_RDWR)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nor locked it
        os.close(other)

def track(*numbers):
    for number in numbers:
        client.track(user_id="u-1", event_type="page_viewed", payload={"n": number})

opened = []
client = SegOpsClient(url, "sk_test", queue_path=path, flush_interval=300)
while not (os.path.exists(path + ".sender") and "state" in open(path + ".sender").read()):
    pause.wait(0.01)  # until the first round is over: what it has open for an instant is its own
track(0)
if stage in ("sending", "after a flush"):
    assert client.flush(20).ok
if stage == "child":
    child = os.fork()
    if child:
        track(1, 2)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert client.flush(20).ok
        sys.exit(status)
    signal.alarm(60)
    close_all()
    track(3, 4)
elif stage == "used child":
    child = os.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    signal.alarm(60)
    track(1, 2)
    close_all()
    track(3, 4)
elif stage == "shutdown":
    track(1, 2, 3, 4)
    close_all()
elif stage == "another client":
    track(1, 2)
    close_all()
    second = SegOpsClient(url, "sk_test", queue_path=path, flush_interval=300)
    second.track(user_id="u-1", event_type="page_viewed", payload={"n": 3})
    second.shutdown(0)
    track(4)
elif stage == "read first":
    track(1, 2)
    close_all()
    assert client.stats().pending == 3
    track(3, 4)
else:
    track(1, 2)
    close_all()
    track(3, 4)
look()
patience = 0.5 if "child" in stage else 20  # there the parent sends, and waits for its child
if stage != "shutdown":
    client.flush(patience)
    look()
client.shutdown(patience)
look()
"""


@pytest.mark.parametrize("is_reused", ["closed", "reused"])
@pytest.mark.parametrize(
    "stage",
    ["waiting", "sending", "child", "used child", "shutdown", "another client", "read first"],
)
def test_a_program_that_closes_all_descriptors_loses_nothing_and_keeps_those_it_opens(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    queue_path: Path,
    tmp_path: Path,
    stage: str,
    is_reused: str,
) -> None:
    victims = tmp_path / "victims"
    victims.mkdir()
    command = [sys.executable, "-c", PROGRAM, sandbox.url, str(queue_path), str(victims)]
    result = subprocess.run(
        [*command, stage, is_reused], capture_output=True, text=True, timeout=90, check=False
    )
    assert result.returncode == 0, result.stderr
    assert make_client().flush(20).ok
    assert sorted(set(numbers(sandbox))) == [0, 1, 2, 3, 4]
    assert {each.read_bytes() for each in victims.iterdir()} <= {b"theirs"}
    with closing(sqlite3.connect(queue_path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_others_go_on_with_an_outbox_whose_descriptors_one_process_has_lost(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    client = make_client()
    track(client, 1)
    child = os.fork()
    if child == 0:  # pragma: no cover - the child leaves without a report
        signal.alarm(60)
        track(client, 1, first=1)
        os.closerange(3, 200)
        track(client, 1, first=2)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    track(client, 1, first=3)
    assert client.flush(20).ok
    assert sorted(numbers(sandbox)) == [0, 1, 2, 3]
    assert not list(queue_path.parent.glob("*.moving*"))


CLOSES_ONE = """
import os, sys
from segops_durable import SegOpsClient

url, path, victims = sys.argv[1:]
client = SegOpsClient(url, "sk_test", queue_path=path, flush_interval=300, batch_size=500)
flusher = client._delivery.current.flusher

def send():
    number = flusher.request_round()
    with flusher.requests.listening() as news:
        while not flusher.requests.is_answered(number):
            news.wait(1)

def ours():
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith(path):
                yield int(name)
        except OSError:
            pass

for number in range(60):
    client.track(user_id="u-1", event_type="page_viewed", payload={"n": number})
    if number % 2:
        client.stats()
    if number % 4 != 2:
        send()  # and nothing of ours is at work from then on: it would be with a number that goes
    mine = list(ours())
    fd = mine[number % len(mine)]
    os.close(fd)  # twice, say: the number was the program's own before
    theirs = os.open(f"{victims}/{number}", os.O_RDWR | os.O_CREAT)
    os.write(theirs, b"theirs")
    assert theirs == fd, (theirs, fd)
client.shutdown(20)
"""


def test_a_program_that_closes_one_of_our_descriptors_loses_nothing_and_keeps_its_own(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path, tmp_path: Path
) -> None:
    victims = tmp_path / "victims"
    victims.mkdir()
    command = [sys.executable, "-c", CLOSES_ONE, sandbox.url, str(queue_path), str(victims)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert result.returncode == 0, result.stderr
    assert make_client().flush(20).ok
    assert sorted(set(numbers(sandbox))) == list(range(60))
    assert {each.read_bytes() for each in victims.iterdir()} == {b"theirs"}


WITHOUT_STREAMS = """
import os, sys
from contextlib import suppress
from segops_durable import SegOpsClient

def say():
    for stream in (0, 1, 2):
        with suppress(OSError):
            os.write(stream, b"SAID IN PASSING " * 50)

url, path = sys.argv[1:]
client = SegOpsClient(url, "sk_test", queue_path=path, flush_interval=300, max_retries=0)
for number in range(5):
    client.track(user_id="u-1", event_type="page_viewed", payload={"n": number})
    say()
is_ok = client.flush(20).ok
client.track(user_id="u-1", event_type="page_viewed", payload={"n": 5})
say()
is_ok = client.flush(20).ok and is_ok
say()
os._exit(not is_ok)
"""


def test_what_a_program_without_standard_streams_prints_goes_into_no_file_and_no_request(
    sandbox: Sandbox, queue_path: Path
) -> None:
    without = 'exec "$0" "$@" <&- >&- 2>&-'
    command = ["sh", "-c", without, sys.executable, "-c", WITHOUT_STREAMS]
    result = subprocess.run([*command, sandbox.url, str(queue_path)], timeout=60, check=False)
    assert result.returncode == 0
    assert numbers(sandbox) == list(range(6))
    assert len(sandbox.requests()) == len({each["idempotency_key"] for each in sandbox.requests()})
    for each in queue_path.parent.iterdir():
        assert b"SAID" not in each.read_bytes(), each.name
