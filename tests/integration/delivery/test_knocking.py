"""A process that does not send is heard by the one that does, long before its interval is over."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from segops_durable import State
from segops_durable.delivery import knocking
from support.beside import Beside, beside
from support.events import numbers, track
from support.peer import LONG_SECONDS, Peer, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python

LONG_INTERVAL = 600.0

can_stop = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing can be stopped")


@pytest.fixture
def sender(sandbox: Sandbox, queue_path: Path) -> Iterator[Beside]:
    """Another process: it sends, and looks into the outbox every ten minutes."""
    with beside(sandbox.url, queue_path, flush_interval=LONG_INTERVAL) as process:
        process.ask("become_sender")
        yield process


def test_a_flush_is_heard(
    sender: Beside, make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client(flush_interval=LONG_INTERVAL)
    for number in range(3):
        track(client, 1, first=number)
        result = client.flush(timeout=60)
        assert (result.ok, result.sent) == (True, 1)
        assert client.stats().state is State.STANDBY
    assert sorted(numbers(sandbox)) == [0, 1, 2]
    assert sender.ask("state") == "idle"


def test_a_flush_that_waits_for_another_process_does_not_ask_it_over_and_over(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    sender = make_client(flush_interval=LONG_INTERVAL)
    wait_until(lambda: sender._delivery.current.sender.place.is_kept)
    sandbox.faults(status=503)
    client = make_client(flush_interval=LONG_INTERVAL)
    rounds: list[int] = []
    flusher = client._delivery.current.flusher
    try_again = flusher.try_again

    def counted() -> int:
        rounds.append(try_again())
        return rounds[-1]

    monkeypatch.setattr(flusher, "try_again", counted)
    track(client, 1)
    assert not client.flush(timeout=1).ok
    assert len(rounds) <= 25


def test_a_full_batch_is_heard_and_is_one_request(
    sender: Beside,
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    assert sender.ask("state") == "idle"
    client = make_client(flush_interval=LONG_INTERVAL)
    track(client, 20)
    wait_until(lambda: not client.stats().pending)
    assert client.stats().state is State.STANDBY
    assert sandbox.summary()["requests"] == 1


def test_events_that_wait_for_longer_than_they_should_are_heard_of(
    sender: Beside,
    make_client: Callable[..., SegOpsClient],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    assert sender.ask("state") == "idle"
    client = make_client(flush_interval=0.2)  # the one that sends has another
    track(client, 1)
    wait_until(lambda: not client.stats().pending)
    assert client.stats().state is State.STANDBY


def test_who_waits_for_room_is_heard(
    sender: Beside, make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    assert sender.ask("state") == "idle"
    client = make_client(
        flush_interval=LONG_INTERVAL, max_queue_events=3, overflow="block", overflow_timeout=60.0
    )
    track(client, 7)
    assert client.flush(timeout=60).ok
    assert sorted(numbers(sandbox)) == list(range(7))


def test_one_that_cannot_hear_sends_at_its_interval_and_keeps_its_place(
    sandbox: Sandbox,
    queue_path: Path,
    make_client: Callable[..., SegOpsClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deaf = "import socket\ndef no(*_a, **_k): raise OSError\n"
    deaf += "import segops_durable.outbox.sender_lock as each\neach.Ear = no\n"
    monkeypatch.setattr(knocking, "LOOK_SECONDS", 0.05)
    with beside(sandbox.url, queue_path, program=deaf, flush_interval=2.0) as sender:
        sender.ask("become_sender")
        client = make_client(flush_interval=LONG_INTERVAL)
        track(client, 1)
        assert client.flush(timeout=60).ok
        assert client.stats().state is State.STANDBY
        assert sender.ask("state") == "idle"


def test_a_sender_that_was_killed_leaves_nothing_that_is_in_the_way(
    sender: Beside, make_client: Callable[..., SegOpsClient], queue_path: Path
) -> None:
    client = make_client(flush_interval=LONG_INTERVAL)
    files = sorted(each.name for each in queue_path.parent.iterdir())
    sender.kill()
    track(client, 1)
    assert client.flush(timeout=60).ok
    assert client.stats().state is not State.STANDBY
    assert sorted(each.name for each in queue_path.parent.iterdir()) == files


@can_stop
def test_the_place_of_one_that_is_stopped_is_taken_and_it_goes_on_without(
    sender: Beside,
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    monkeypatch.setattr(knocking, "LOOK_SECONDS", 0.2)
    client = make_client(flush_interval=LONG_INTERVAL)
    sender.stop()
    track(client, 20)  # and nobody flushes
    wait_until(lambda: not client.stats().pending)
    assert client.stats().state is not State.STANDBY
    sender.go_on()
    sender.ask("track", 20, 1)
    assert sender.ask("flush", 60)
    assert sender.ask("state") == "standby"
    assert Counter(numbers(sandbox)) == Counter(range(21))


@can_stop
def test_few_events_beside_one_that_is_stopped_wait_for_some_intervals_only(
    sandbox: Sandbox,
    queue_path: Path,
    make_client: Callable[..., SegOpsClient],
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    monkeypatch.setattr(knocking, "LOOK_SECONDS", 0.1)
    with beside(sandbox.url, queue_path, flush_interval=0.2) as sender:  # as short as the other's
        sender.ask("become_sender")
        sender.stop()
        client = make_client(flush_interval=0.2)
        track(client, 1)
        wait_until(lambda: not client.stats().pending)


class Holding:
    """A SegOps that keeps some requests, by their numbers, until each may go."""

    def __init__(self, *numbers: int) -> None:
        self.peer = Peer(self._react)
        self.has_come = {number: threading.Event() for number in numbers}
        self.may_go = {number: threading.Event() for number in numbers}

    def _react(self, request: Request) -> bytes:
        number = 1 + next(n for n, each in enumerate(self.peer.requests) if each is request)
        if number in self.may_go:
            self.has_come[number].set()
            self.may_go[number].wait(LONG_SECONDS)
        return self.peer.accept(request)


@can_stop
@pytest.mark.parametrize("connections", [1, 2])
def test_one_that_is_stopped_within_a_request_repeats_that_and_sends_no_other(
    queue_path: Path,
    make_client: Callable[..., SegOpsClient],
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[[Callable[[], object]], None],
    connections: int,
) -> None:
    monkeypatch.setattr(knocking, "LOOK_SECONDS", 0.1)
    segops = Holding(1)
    with (
        segops.peer as peer,
        beside(
            peer.url,
            queue_path,
            flush_interval=LONG_INTERVAL,
            max_in_flight=connections,
            timeout=60.0,
        ) as sender,
    ):
        sender.ask("become_sender")
        sender.ask("track", 0, 100)
        assert segops.has_come[1].wait(LONG_SECONDS)
        sender.stop()
        client = make_client(api_url=peer.url, flush_interval=LONG_INTERVAL)
        assert client.flush(timeout=60).ok
        assert client.stats().accepted_total == 100
        segops.may_go[1].set()
        sender.go_on()
        wait_until(lambda: sender.ask("state") == "standby")
        track(client, 20, first=100)
        assert client.flush(timeout=60).ok
        assert sender.ask("state") == "standby"
        assert client.stats().accepted_total == 120
    sent = Counter(request.key for request in peer.requests)
    assert sorted(peer.accepted) == list(range(120))
    assert sum(sent.values()) - len(sent) == 1  # and with the very key
    assert sum(peer.accepted.values()) == 140


@can_stop
@pytest.mark.parametrize("connections", [1, 2])
def test_one_that_is_stopped_within_a_request_leaves_alone_what_another_has_begun_since(
    queue_path: Path,
    make_client: Callable[..., SegOpsClient],
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[[Callable[[], object]], None],
    connections: int,
) -> None:
    monkeypatch.setattr(knocking, "LOOK_SECONDS", 0.1)
    segops = Holding(1, 3)  # that of the one which is stopped, and the second of the other
    with (
        ThreadPoolExecutor(1) as pool,
        segops.peer as peer,
        beside(
            peer.url,
            queue_path,
            flush_interval=LONG_INTERVAL,
            max_in_flight=connections,
            timeout=60.0,
        ) as sender,
    ):
        sender.ask("become_sender")
        sender.ask("track", 0, 100)
        assert segops.has_come[1].wait(LONG_SECONDS)
        sender.stop()
        client = make_client(api_url=peer.url, flush_interval=LONG_INTERVAL, timeout=60.0)
        flushing = pool.submit(client.flush, 60)
        assert segops.has_come[3].wait(LONG_SECONDS)
        segops.may_go[1].set()
        sender.go_on()
        wait_until(lambda: sender.ask("state") == "standby")
        segops.may_go[3].set()
        assert flushing.result().ok
    keys = [request.key for request in peer.requests]
    assert len(keys) == 6  # five batches, and the first one twice
    assert keys[0] == keys[1]
    assert sorted(peer.accepted) == list(range(100))


@can_stop
def test_a_child_that_knows_nothing_of_us_keeps_the_place_of_its_dead_parent_for_a_while(
    sandbox: Sandbox,
    queue_path: Path,
    make_client: Callable[..., SegOpsClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(knocking, "LOOK_SECONDS", 0.1)
    fork = "import ctypes\ndef fork():\n    child = ctypes.CDLL(None).fork()\n"
    fork += "    if not child:\n        ctypes.CDLL(None).pause()\n    return child\n"
    with beside(sandbox.url, queue_path, program=fork, flush_interval=LONG_INTERVAL) as sender:
        sender.ask("become_sender")
        child = sender.ask("fork")
        sender.kill()
        try:
            client = make_client(flush_interval=LONG_INTERVAL)
            track(client, 1)
            assert client.flush(timeout=60).ok
        finally:
            os.kill(child, signal.SIGKILL)


EVENTS_OF_EACH = 200


@pytest.mark.timeout(180)
def test_eight_processes_that_track_need_hardly_more_requests_than_their_events_fill(
    sandbox: Sandbox, queue_path: Path
) -> None:
    with ExitStack() as open_ones:
        processes = [
            open_ones.enter_context(beside(sandbox.url, queue_path, flush_interval=LONG_INTERVAL))
            for _ in range(8)
        ]
        for number, each in enumerate(processes):
            each.tell("track", number * EVENTS_OF_EACH, EVENTS_OF_EACH)
        for each in processes:
            each.answer()
        assert processes[-1].ask("flush", 60)
    events = 8 * EVENTS_OF_EACH
    assert sorted(numbers(sandbox)) == list(range(events))
    assert sandbox.summary()["requests"] <= 1.1 * events / 20


def test_what_is_said_to_others_alone_is_no_part_of_what_the_sender_says_of_itself(
    sender: Beside, queue_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    assert sender.ask("flush", 60)
    lock = make_client()._outbox.sender_lock
    written = json.loads(queue_path.with_name(queue_path.name + ".sender").read_bytes())
    said = lock.note()
    assert said is not None
    assert set(written) - set(said) == {"ear", "every"}
    assert written["every"] == LONG_INTERVAL
    assert lock.knock(slower_than=LONG_INTERVAL) is None
    found = lock.knock(slower_than=1.0)
    assert found is not None
    found[1].close()
