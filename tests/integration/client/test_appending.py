"""A client that only appends (`sends=False`): another process sends, or nobody does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import PendingEventsError
from segops_durable.outbox.sender_lock import SenderLock
from support.beside import beside
from support.events import numbers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

FLUSHED = """
def flushed(timeout=None):
    result = client.flush(timeout)
    return [result.ok, result.pending, result.blocked, result.state.value]

def shut_down():
    result = client.shutdown()
    return [result.pending, result.state.value]
"""


def track(client: SegOpsClient, first: int, count: int) -> None:
    for number in range(first, first + count):
        client.track(user_id="u", event_type="e", payload={"n": number})


def test_what_it_appends_stays_on_disk_also_at_its_shutdown(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    with make_client(sends=False, flush_interval=0.01) as client:
        track(client, 0, 30)
        result = client.flush(60)
        assert (result.pending, result.blocked, result.state) == (30, True, "no_sender")
        with pytest.raises(PendingEventsError, match="No process sends what waits"):
            result.raise_for_pending()
        assert client.stats().state == "no_sender"
    assert not queue_path.with_name("outbox.db.sender").exists()  # it has never tried
    assert numbers(sandbox) == []
    with make_client() as sender:
        assert sender.flush().ok
    assert numbers(sandbox) == [*range(30)]


def test_a_flush_of_it_is_done_by_the_process_that_sends(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    with make_client(flush_interval=3600) as sender:  # it sends nothing by itself
        assert sender.flush().ok
        with beside(sandbox.url, queue_path, program=FLUSHED, sends=False) as worker:
            worker.ask("track", 0, 7)
            assert worker.ask("flushed", 60) == [True, 0, False, "standby"]
            assert numbers(sandbox) == [*range(7)]
            assert worker.ask("state") == "standby"


def test_it_says_so_once_the_process_that_sent_is_gone(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    appending = make_client(sends=False)
    with beside(sandbox.url, appending._outbox.path, flush_interval=0.05) as sender:
        sender.ask("become_sender")
        assert appending.stats().state == "standby"
        sender.kill()
        assert appending.stats().state == "no_sender"
        track(appending, 0, 3)
        assert appending.flush().state == "no_sender"  # without a timeout, and at once
    with beside(sandbox.url, appending._outbox.path, flush_interval=0.05):
        wait_until(lambda: numbers(sandbox) == [0, 1, 2])


def test_it_leaves_its_place_to_one_that_is_stopped(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    queue_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("segops_durable.delivery.knocking.LOOK_SECONDS", 0.01)

    def take_away(_lock: SenderLock, _address: str) -> Any:
        raise AssertionError("it would be nobody's")

    monkeypatch.setattr(SenderLock, "take_away", take_away)
    told: list[str] = []
    with beside(sandbox.url, queue_path, flush_interval=0.05) as sender:
        sender.ask("become_sender")
        client = make_client(
            sends=False, flush_interval=0.01, on_error=lambda e: told.append(str(e))
        )
        sender.stop()
        track(client, 0, 3)
        assert client.flush(2).state == "standby"
        sender.go_on()
        assert client.flush(60).ok
    assert numbers(sandbox) == [0, 1, 2]
    assert told == []


def test_its_shutdown_waits_for_nobody(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    with beside(sandbox.url, queue_path, flush_interval=0.05) as sender:
        sender.ask("become_sender")
        sender.stop()  # whoever waited for it would do so for an hour
        client = make_client(sends=False, shutdown_timeout=3600)
        track(client, 0, 3)
        assert client.shutdown().pending == 3
