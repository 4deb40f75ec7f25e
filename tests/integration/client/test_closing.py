"""Subclasses: what they override is called, from the constructor on to the interpreter's end."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from segops_durable import SegOpsClient
from support.events import numbers, track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from segops_durable import SegOpsError
    from segops_durable.outbox import Batch
    from segops_durable.sandbox import Sandbox

APP = """
import sys
from segops_durable import SegOpsClient

class Ours(SegOpsClient):
    def shutdown(self, timeout=None):
        print("ours")
        return super().shutdown(timeout)

client = Ours(sys.argv[1], "sk_test", queue_path=sys.argv[2], flush_interval=30)
client.track(user_id="u-1", event_type="page_viewed")
print("the end")
"""


def test_a_subclass_is_shut_down_by_its_own_method_at_the_interpreters_end(
    sandbox: Sandbox, queue_path: Path
) -> None:
    command = [sys.executable, "-c", APP, sandbox.url, str(queue_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout.split("\n"), done.stderr) == (["the end", "ours", ""], "")
    assert len(sandbox.events()) == 1


def test_who_is_told_while_a_client_is_made_may_use_it(
    sandbox: Sandbox, queue_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []

    class Ours(SegOpsClient):
        def hear(self, _error: SegOpsError) -> None:
            try:
                self.track(user_id="u-1", event_type="page_viewed")
                heard.append((list(self.dead_letters()), self.stats().pending))
            except BaseException as own:  # noqa: BLE001 - the client would swallow it
                heard.append(own)

        def __init__(self) -> None:
            super().__init__(sandbox.url, "sk_test", queue_path=queue_path, on_error=self.hear)

    start = threading.Thread.start

    def start_others(thread: threading.Thread) -> None:
        if thread.name.startswith("segops"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start_others)
        client = Ours()
    assert heard == [([], 1)]
    assert client.flush(timeout=30).ok
    client.shutdown(0)


def test_a_thread_that_sends_on_after_its_client_was_closed_leaves_nothing_behind(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    client = make_client(max_in_flight=2)
    sender = client._delivery.current.sender
    usually, departed = sender.depart, 0
    is_about_to_send, is_closed = threading.Event(), threading.Event()

    def depart(batch: Batch) -> int:
        nonlocal departed
        departed += 1
        if departed == 2:  # there are threads by now that send beside the one that decides
            is_about_to_send.set()
            is_closed.wait(60)
        return usually(batch)

    monkeypatch.setattr(sender, "depart", depart)
    track(client, 100)
    assert is_about_to_send.wait(60)
    client.shutdown(0)  # in vain: that thread is stuck, and gets on later
    is_closed.set()
    wait_until(
        lambda: (
            not any(
                each.name.startswith(("segops-flusher", "segops-lane"))
                for each in threading.enumerate()
            )
        )
    )
    assert make_client().flush(timeout=60).ok
    assert sorted({*numbers(sandbox)}) == list(range(100))
