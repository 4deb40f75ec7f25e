"""A fork at any moment: both processes go on, nothing is lost, doubled or hung."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import multiprocessing
import os
import pkgutil
import socket
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

import segops_durable
from segops_durable import ClosedError, SegOpsClient
from support.children import in_child, status_of, tell_if_it_hangs
from support.events import numbers, track
from support.peer import Peer, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

FORKS = 200

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
    # Python warns of what is tested here
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def become_sender(client: SegOpsClient) -> None:
    """Send an event: a child that sends, and ends at once, would leave a batch to be repeated."""
    track(client, 1, first=-1)
    assert client.flush(timeout=30).ok


def test_both_processes_track_and_send_after_a_fork(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client(flush_interval=0.1)  # one sends for both, and looks for the other's
    track(client, 2)

    def work() -> None:
        track(client, 2, first=2)
        assert client.flush(timeout=30).ok
        client.shutdown()

    child = in_child(work)
    track(client, 2, first=4)
    assert client.flush(timeout=30).ok
    assert status_of(child) == 0
    track(client, 1, first=6)
    assert client.flush(timeout=30).ok
    assert sorted(numbers(sandbox)) == list(range(7))


@pytest.fixture
def segops() -> Iterator[Peer]:
    """A SegOps without SQLite: a thread inside it at the instant of a fork would hang a child."""

    def accept(request: Request) -> bytes:
        return peer.accept(request)

    with Peer(accept) as peer:
        yield peer


@pytest.mark.each_python
@pytest.mark.long
def test_200_forks_under_load_lose_nothing_and_hang_nobody(
    make_client: Callable[..., SegOpsClient], segops: Peer
) -> None:
    # of five threads and eight processes one may wait for long on a busy machine, and all of them
    # for a disk to which others write: so this one does without syncs
    client = make_client(
        api_url=segops.url, flush_interval=0.05, lock_timeout=60, durability="normal"
    )
    become_sender(client)
    stop = threading.Event()
    tracked = [0] * 4

    def work(thread: int) -> None:
        while not stop.is_set():
            track(client, 1, first=1_000_000 * (thread + 1) + tracked[thread])
            tracked[thread] += 1

    threads = [threading.Thread(target=work, args=(each,)) for each in range(4)]
    for thread in threads:
        thread.start()
    try:
        children = []
        for number in range(FORKS):
            children.append(in_child(lambda number=number: track(client, 1, first=number)))  # type: ignore[misc]
            if len(children) == 8:
                assert status_of(children.pop(0)) == 0
        assert [status_of(child) for child in children] == [0] * len(children)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert client.flush(timeout=60).ok
    expected = set(range(-1, FORKS))
    for thread_number, count in enumerate(tracked):
        expected |= {1_000_000 * (thread_number + 1) + n for n in range(count)}
    assert segops.accepted == Counter(expected)
    assert min(tracked) > 0


@pytest.mark.each_python
@pytest.mark.long
def test_threads_that_fork_at_once_do_not_hang_each_other(
    make_client: Callable[..., SegOpsClient], segops: Peer
) -> None:
    client = make_client(api_url=segops.url)
    become_sender(client)
    outcomes: list[int] = []

    def work(thread: int) -> None:
        for number in range(20):
            child = in_child(lambda number=number: track(client, 1, first=thread * 100 + number))  # type: ignore[misc]
            outcomes.append(status_of(child))

    threads = [threading.Thread(target=work, args=(each,), daemon=True) for each in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outcomes == [0] * 60
    assert client.flush(timeout=30).ok
    assert (len(segops.accepted), segops.accepted.total()) == (61, 61)


def test_a_fork_while_a_batch_is_in_flight_does_not_send_it_twice(
    make_client: Callable[..., SegOpsClient], segops: Peer
) -> None:
    is_in_flight, is_answered = threading.Event(), threading.Event()

    def accept(request: Request) -> bytes:
        is_in_flight.set()
        assert is_answered.wait(30)
        return segops.accept(request)

    segops.react = accept
    client = make_client(api_url=segops.url, flush_interval=0.1)  # the child's event waits for it
    track(client, 20)
    assert is_in_flight.wait(30)

    def work() -> None:
        track(client, 1, first=20)
        assert client.flush(timeout=30).ok

    child = in_child(work)
    is_answered.set()
    assert client.flush(timeout=30).ok
    assert status_of(child) == 0
    assert segops.accepted == Counter(range(21))


@pytest.mark.parametrize("is_sending", [True, False])
def test_a_child_that_outlives_the_sender_takes_its_place(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, is_sending: bool
) -> None:
    client = make_client()
    track(client, 1)
    assert client.flush(timeout=30).ok  # so this process is the sender
    reading, writing = os.pipe()
    hearing, telling = os.pipe()

    def work() -> None:
        track(client, 1, first=1)
        os.write(telling, b"!")
        os.read(reading, 1)  # until the parent has shut down
        for number in range(2, 50):  # SQLite must not have taken the log away
            track(client, 1, first=number)
        if is_sending:
            assert client.flush(timeout=30).ok

    child = in_child(work)
    os.read(hearing, 1)
    client.shutdown(0)
    os.write(writing, b"!")
    assert status_of(child) == 0
    assert make_client().flush(timeout=30).ok
    arrived = Counter(numbers(sandbox))
    assert set(arrived) == set(range(50))
    assert arrived.total() - 50 <= 20  # it may have ended while a batch was under way


def test_a_child_that_does_not_use_the_client_starts_no_thread(
    make_client: Callable[..., SegOpsClient],
) -> None:
    make_client()

    def work() -> None:
        assert [each.name for each in threading.enumerate()] == [threading.current_thread().name]

    assert status_of(in_child(work)) == 0


def test_a_fork_that_went_past_python_is_noticed(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client()
    track(client, 1)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # a request to switch would wait for a thread that is not there
    threading.Event().wait(0.05)
    child = ctypes.PyDLL(None).fork()
    if child == 0:  # pragma: no cover - no coverage is saved past Python
        tell_if_it_hangs()
        try:
            track(client, 1, first=1)
        except ClosedError as error:
            os._exit(0 if "past Python" in error.hint else 2)
        os._exit(1)
    sys.setswitchinterval(interval)
    assert status_of(child) == 0
    assert client.flush(timeout=60).ok
    assert numbers(sandbox) == [0]


def _track_in(client: SegOpsClient, number: int) -> None:
    track(client, 1, first=number)


def _track_anew(url: str, queue_path: str, number: int) -> None:
    with SegOpsClient(url, "sk_test", queue_path=queue_path) as client:
        track(client, 1, first=number)


def test_multiprocessing_works_by_fork_and_by_spawn(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    client = make_client(flush_interval=0.1)
    track(client, 1)
    fork = multiprocessing.get_context("fork")
    spawn = multiprocessing.get_context("spawn")
    workers = [
        fork.Process(target=_track_in, args=(client, 1)),
        fork.Process(target=_track_in, args=(client, 2)),
        spawn.Process(target=_track_anew, args=(sandbox.url, str(queue_path), 3)),
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert client.flush(timeout=30).ok
    assert sorted(numbers(sandbox)) == [0, 1, 2, 3]


HAS_SPARK = importlib.util.find_spec("pyspark") is not None  # in an environment of its own


def test_no_module_has_a_lock_that_a_fork_could_leave_shut_in_the_child() -> None:
    """A thread that holds a module's lock at the fork is not there to give it back."""
    kinds = (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Event)
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(segops_durable.__path__, "segops_durable.")
        if not found.name.endswith("__main__") and (HAS_SPARK or ".spark" not in found.name)
    ]
    assert len(modules) > 50
    for module in modules:
        locks = [name for name, value in vars(module).items() if issubclass(type(value), kinds)]
        assert locks == [], module.__name__


APP = """
import os
from segops_durable import Event, SegOpsClient

options = {"queue_path": os.environ["QUEUE"], "flush_interval": 0.1}
client = SegOpsClient(os.environ["URL"], "sk_test", **options)
client.track(Event("u-1", "page_viewed", payload={"n": 0}))

def app(environ, start_response):
    number = int(environ["QUERY_STRING"])
    client.track(Event("u-1", "page_viewed", payload={"n": number}))
    client.flush(timeout=5)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


def test_gunicorn_with_preload_works_without_a_word_from_the_user(
    sandbox: Sandbox,
    make_client: Callable[..., SegOpsClient],
    queue_path: Path,
    tmp_path: Path,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    def visit(number: int) -> str:
        answered = requests.get(f"http://127.0.0.1:{port}/?{number}", timeout=60)
        answered.raise_for_status()
        return answered.text

    (tmp_path / "webapp.py").write_text(APP)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "--preload", "-w", "3", "webapp:app"]
        with subprocess.Popen(
            [*command, "-b", f"fd://{listener.fileno()}"],
            cwd=tmp_path,
            env={**os.environ, "URL": sandbox.url, "QUEUE": str(queue_path)},
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        ) as gunicorn:
            with ThreadPoolExecutor(4) as visitors:
                pids = set(visitors.map(visit, range(1, 41)))
            gunicorn.terminate()
            assert gunicorn.wait(60) == 0
    assert len(pids) > 1
    client = make_client()
    wait_until(lambda: client.flush(timeout=60).ok)
    assert sorted(numbers(sandbox)) == list(range(41))
