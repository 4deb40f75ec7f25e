from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import (
    BusyOutboxError,
    ClosedError,
    NoThreadError,
    QueueFullError,
    SegOpsClient,
    SegOpsError,
    State,
    UserContext,
)
from segops_durable.system.descriptors import open_descriptors
from segops_durable.system.worker import Worker
from support.events import leave, numbered, numbers, track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


@pytest.mark.parametrize("call", ["flush", "close", "block"])
def test_a_call_from_on_error_does_not_wait_for_its_own_thread(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
    call: str,
) -> None:
    took: list[float] = []
    outcomes: list[object] = []

    def on_error(_error: SegOpsError) -> None:
        began = time.monotonic()
        try:
            if call == "flush":
                outcomes.append(client.flush())
            elif call == "close":
                outcomes.append(client.shutdown(30.0))
            else:
                track(client, 1)
        except QueueFullError as error:
            outcomes.append(error)
        took.append(time.monotonic() - began)

    sandbox.faults(status=503)
    client = make_client(
        on_error=on_error,
        flush_interval=0.1,
        max_retries=0,
        max_queue_events=3,
        overflow="block",
        overflow_timeout=30.0,
    )
    track(client, 3)
    wait_until(lambda: took)
    assert took[0] < 5
    if call == "block":
        assert isinstance(outcomes[0], QueueFullError)
    else:
        assert getattr(outcomes[0], "pending", None) == 3
    sandbox.faults()
    if call == "close":
        wait_until(lambda: client._closing.result is not None)
        with pytest.raises(ClosedError):
            track(client, 1)
        assert client.shutdown().pending == 3
        client = make_client()  # the file is free, and so is the sender's place
    assert client.flush(30).ok
    assert sorted(numbers(sandbox)) == [0, 1, 2]


@pytest.mark.parametrize("callback", ["get_user", "user_context_for"])
def test_a_flush_from_where_users_are_asked_for_returns_at_once(
    make_client: Callable[..., SegOpsClient], callback: str
) -> None:
    """On the sending thread; `get_user` is asked on the caller's as well, where it may wait."""
    took: list[float] = []

    def ask(*_user: str) -> UserContext | None:
        if threading.current_thread().name == "segops-flusher" and not took:
            began = time.monotonic()
            assert client.flush().pending == 1
            took.append(time.monotonic() - began)
        return UserContext(user_id="ann")

    users = iter([UserContext(user_id="ann")])  # who has gone when her event is sent
    others: dict[str, Any] = {"get_user": lambda: next(users, None)}
    client = make_client("pk_test", **{**others, callback: ask})
    track(client, 1)
    client.flush(30)
    assert len(took) == 1
    assert took[0] < 5


def test_a_shutdown_that_is_interrupted_is_completed_by_the_next_and_its_state_is_true(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    class Interrupt(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupt

    client = make_client(flush_interval=0.1)
    sandbox.faults(delay=1.0)
    track(client, 3)
    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        for call in (client.flush, client.shutdown):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(Interrupt):
                call(20)
            assert client._delivery.current.flusher._worker.is_running
            assert client.stats().state is not State.CLOSED
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    with pytest.raises(ClosedError):
        track(client, 1)
    assert client.shutdown(20).ok
    assert not client._delivery.current.flusher._worker.is_running
    assert sorted(numbers(sandbox)) == [0, 1, 2]


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """Refuses the sender's thread, as a limit of tasks does, until it is called."""
    start = threading.Thread.start
    is_refused = [True]

    def refuse(thread: threading.Thread) -> None:
        if is_refused and thread.name == "segops-flusher":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    return is_refused.clear


def test_without_a_thread_events_are_stored_and_sent_once_there_is_one(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    no_threads: Callable[[], object],
) -> None:
    told: list[SegOpsError] = []
    client = make_client(on_error=told.append)
    track(client, 2)
    assert client.flush().pending == 2
    track(client, 1, first=2)
    assert [type(error) for error in told] == [NoThreadError]
    assert isinstance(client.stats().last_error, NoThreadError)
    no_threads()
    assert client.flush(30).ok
    assert sorted(numbers(sandbox)) == [0, 1, 2]


LIMITED = """
import os, resource, sys
import segops_durable.client.opening  # whose files that user may not be able to read
from segops_durable import SegOpsClient

os.setuid(12345)  # root has no limit
client = SegOpsClient(sys.argv[1], "sk_test", queue_path=sys.argv[2], on_error=lambda error: None)
client.track(user_id="u-1", event_type="page_viewed", payload={"n": 0})
child = os.fork()
if child:
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    client.shutdown(20)
    sys.exit(status)
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
for number in (1, 2):
    client.track(user_id="u-1", event_type="page_viewed", payload={"n": number})
assert client.flush(60).pending >= 0
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="takes root, and Linux")
def test_a_child_under_a_limit_of_threads_stores_what_it_tracks(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    for each in tmp_path.parents[:2]:
        each.chmod(0o755)
    path = tmp_path / "outbox.db"
    subprocess.run([sys.executable, "-c", LIMITED, sandbox.url, str(path)], check=True, timeout=90)
    assert sorted(numbers(sandbox)) == [0, 1, 2]
    assert resource.getrlimit(resource.RLIMIT_NPROC)[0] != 0


def test_a_constructor_that_fails_leaves_nothing_open(
    make_client: Callable[..., SegOpsClient], monkeypatch: pytest.MonkeyPatch, queue_path: Path
) -> None:
    if sys.platform != "linux":
        pytest.skip("nothing tells what is open")
    leave(make_client())
    gc.collect()  # what others have left may be closed at any moment
    before = len(open_descriptors())
    threads = set(threading.enumerate())
    places = (
        "client.delivery.Delivery.__init__",
        "delivery.flusher.Flusher.start",
        "intake.intake.Intake.__init__",
    )
    for place in places:
        with monkeypatch.context() as patch:

            def fail(*_: object, **__: object) -> None:
                raise BusyOutboxError("busy", path=str(queue_path), pid=None, is_stopped=False)

            patch.setattr(f"segops_durable.{place}", fail)
            with pytest.raises(BusyOutboxError):
                make_client()
        assert len(open_descriptors()) == before, place
        assert threads.issuperset(threading.enumerate())
    client = make_client()
    client.track_many(numbered(1))
    assert client.flush(20).ok


AT_THE_END = """
import os, sys
from segops_durable import SegOpsClient, SegOpsError

class Last:
    def __del__(self):
        try:
            client.track(user_id="u-1", event_type="page_viewed")
            said = "stored"
        except SegOpsError as error:
            said = type(error).__name__
        except BaseException as error:
            said = f"untyped {error!r}"
        os.write(1, said.encode())

last = Last()
client = SegOpsClient("http://127.0.0.1:9", "sk_test", queue_path=sys.argv[1], shutdown_timeout=0)
"""


def test_what_is_tracked_while_the_interpreter_is_taken_down_raises_an_error_of_ours(
    queue_path: Path,
) -> None:
    command = [sys.executable, "-c", AT_THE_END, str(queue_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == "ClosedError"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # it is what is tested
def test_what_a_child_tells_as_it_begins_is_told_with_no_lock_held(
    make_client: Callable[..., SegOpsClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []

    def listen(_error: SegOpsError) -> None:
        own = client._delivery
        held.append(own._waking.is_mine() or client._outbox._store.gate.is_mine())

    def none_to_be_had(_self: object) -> None:
        raise RuntimeError("can't start new thread")

    client = make_client(on_error=listen)
    client.flush()
    child = os.fork()
    if not child:
        status = 1
        try:
            signal.alarm(60)
            monkeypatch.setattr(Worker, "start", none_to_be_had)
            track(client, 1)
            status = 0 if held == [False] else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.flush(timeout=30).ok
    assert client.stats().accepted_total == 1
