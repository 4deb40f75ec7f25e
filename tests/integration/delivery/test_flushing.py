"""How long a flush waits: for our own rounds as long as they send, for another's not for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from segops_durable import RefusedError, State
from support.events import track
from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import FlushResult, SegOpsClient, SegOpsError
    from segops_durable.outbox import Counts
    from segops_durable.sandbox import Sandbox

IMPATIENT = {"timeout": 0.5, "max_retries": 0, "flush_interval": 0.1}
"""Options under which a round that fails takes 1.6 seconds at most."""


def test_a_flush_without_a_timeout_waits_for_all_that_our_own_round_sends(
    make_client: Callable[..., SegOpsClient],
) -> None:
    def accept_slowly(request: Request) -> bytes | None:
        threading.Event().wait(0.2)
        return segops.accept(request)

    with Peer(accept_slowly) as segops:
        client = make_client(api_url=segops.url, batch_size=1, **IMPATIENT)
        track(client, 12)
        assert client.flush().ok
        client.shutdown(0)
    assert segops.accepted == Counter(range(12))


def test_what_a_flush_met_is_told_before_it_returns(
    make_client: Callable[..., SegOpsClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segops_durable.delivery.flushing._TELLING_SECONDS", 30)
    is_gone = threading.Event()
    told: list[SegOpsError] = []

    def hear(error: SegOpsError) -> None:
        is_gone.wait(30)  # the flush has seen that nothing waits any more
        threading.Event().wait(0.05)
        told.append(error)

    with Peer(lambda _request: answer(400, {"detail": "no"})) as segops:
        client = make_client(api_url=segops.url, on_error=hear)
        waiting = client._outbox.waiting
        has_rows_up_to = waiting.has_rows_up_to

        def look(last_id: int) -> bool:
            found = has_rows_up_to(last_id)
            if not found:
                is_gone.set()
            return found

        monkeypatch.setattr(waiting, "has_rows_up_to", look)
        track(client, 1)
        assert client.flush(timeout=30).dead == 1
        assert [type(error) for error in told] == [RefusedError]
        client.shutdown(0)


def test_what_came_during_a_flush_and_left_again_is_not_pending_of_it(
    make_client: Callable[..., SegOpsClient],
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    def accept(request: Request) -> bytes:
        return segops.accept(request)

    with Peer(accept) as segops:
        client = make_client(api_url=segops.url)
        waiting, flusher = client._outbox.waiting, client._delivery.current.flusher
        counts = waiting.counts
        looks = iter(("before", "after"))

        def look() -> Counts:
            # the thread that sends looks too
            if flusher.is_current or next(looks) == "before":
                return counts()
            track(client, 2)
            found = counts()
            flusher.request_round()
            wait_until(lambda: not waiting.has_rows_up_to(found.last_id))
            return found

        track(client, 1, first=2)
        assert client.flush(timeout=30).ok
        with monkeypatch.context() as patched:
            patched.setattr(waiting, "counts", look)
            assert client.flush(timeout=30).pending == 0
        client.shutdown(0)
    assert segops.accepted == Counter(range(3))


SENDING = """
import sys
from segops_durable import SegOpsClient
client = SegOpsClient(sys.argv[1], "sk_test", queue_path=sys.argv[2], flush_interval=3600)
requests = client._delivery.current.flusher.requests
with requests.listening() as news:
    client.flush(30)
    while not requests.is_answered(1):
        news.wait(1)
print(client.stats().state.value, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing can be stopped")
def test_a_flush_without_a_timeout_does_not_wait_for_ever_for_a_sender_that_is_stopped(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    command = [sys.executable, "-c", SENDING, sandbox.url, str(queue_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as sender:
        assert sender.stdout is not None
        assert sender.stdout.readline() == "idle\n"
        sender.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, sender.pid, os.WSTOPPED | os.WNOWAIT)
        try:
            client = make_client(**IMPATIENT)
            track(client, 1)
            assert client.flush().pending == 1
            assert client.stats().state is State.STANDBY
        finally:
            sender.kill()
    assert client.flush(30).ok


def test_a_flush_that_waits_for_another_sender_sends_by_itself_once_that_one_has_ended(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    sandbox.faults(status=503)
    sender = make_client(flush_interval=3600.0)
    track(sender, 1)
    assert sender.flush(30).pending == 1  # so it is the sender, and pauses
    other = make_client(flush_interval=3600.0)
    results: list[FlushResult] = []
    flushing = threading.Thread(target=lambda: results.append(other.flush()))
    flushing.start()
    wait_until(lambda: other.stats().state is State.STANDBY)
    sandbox.faults()
    sender.shutdown(0)
    flushing.join(30)
    assert [each.ok for each in results] == [True]
