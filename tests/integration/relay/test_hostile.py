"""Whoever does harm harms themselves: others are served, and what was refused is not stored."""

from __future__ import annotations

import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable.outbox.store.gate import WriteGate, lock_path
from segops_durable.system.filelock import FileLock
from support.relays import RunningRelay, event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable.sandbox import Sandbox

    MakeRelay = Callable[..., RunningRelay]

pytestmark = pytest.mark.one_python

BODY = json.dumps({"events": [event(1)]}).encode()
HEAD = (
    b"POST /api/ingestion/track/batch/ HTTP/1.1\r\nHost: localhost\r\n"
    b"Authorization: ApiKey sk_test\r\n"
)


class Peers:
    """Raw connections to a relay."""

    def __init__(self, relay: RunningRelay, stack: ExitStack) -> None:
        self._relay = relay
        self._stack = stack

    def __call__(self, data: bytes = b"") -> socket.socket:
        host, _, port = self._relay.url.removeprefix("http://").rpartition(":")
        peer = self._stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
        peer.sendall(data)
        return peer


@pytest.fixture
def impatient(
    make_relay: MakeRelay, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> RunningRelay:
    monkeypatch.setattr("segops_durable.relay.protocol.HEAD_SECONDS", 0.3)
    monkeypatch.setattr("segops_durable.relay.serving._IDLE_SECONDS", 0.3)
    sandbox.stop()
    return make_relay("--body-timeout", "0.3", "--max-body-bytes", "10000")


@pytest.fixture
def connect(impatient: RunningRelay) -> Iterator[Peers]:
    with ExitStack() as stack:
        yield Peers(impatient, stack)


def others_are_served(relay: RunningRelay) -> None:
    before = relay.waiting()
    assert relay.track(event(0)).status_code == 202
    assert relay.waiting() == before + 1


def read_all(peer: socket.socket) -> bytes:
    found = b""
    try:
        while part := peer.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found


def test_connections_that_say_nothing_or_not_enough_are_closed_and_others_served_meanwhile(
    impatient: RunningRelay, connect: Peers
) -> None:
    silent = [connect() for _ in range(50)] + [connect(HEAD) for _ in range(50)]
    others_are_served(impatient)
    for each in silent:
        read_all(each)  # to its end
    assert impatient.waiting() == 1


def test_a_body_that_does_not_come_is_given_up_and_nothing_of_it_is_stored(
    impatient: RunningRelay, connect: Peers
) -> None:
    slow = connect(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:-1])
    others_are_served(impatient)
    assert read_all(slow).startswith(b"HTTP/1.1 408 ")
    assert impatient.waiting() == 1


def test_a_request_that_is_cut_off_is_not_stored(impatient: RunningRelay, connect: Peers) -> None:
    cut = connect(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:-1])
    cut.shutdown(socket.SHUT_WR)
    read_all(cut)
    chunked = connect(HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY)
    chunked.close()
    others_are_served(impatient)
    assert impatient.waiting() == 1


@pytest.mark.parametrize(
    "more",
    [
        b"X-Flood: " + b"x" * 1_000_000 + b"\r\n",
        b"".join(b"X-Flood-%d: x\r\n" % number for number in range(50_000)),
        b"X-Flood: x" * 10_000,
    ],
)
def test_a_flood_of_headers_ends_its_own_connection(
    impatient: RunningRelay, connect: Peers, more: bytes
) -> None:
    peer = connect()
    try:
        peer.sendall(HEAD + more)
        found = read_all(peer)
    except (BrokenPipeError, ConnectionResetError):
        found = b""
    assert found == b"" or found.startswith(b"HTTP/1.1 4")
    others_are_served(impatient)
    assert impatient.waiting() == 1


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 10000000000\r\n\r\n",
        b"Content-Length: 9" + b"9" * 100 + b"\r\n\r\n",
        b"Expect: 100-continue\r\nContent-Length: 10001\r\n\r\n",
        b"Content-Length: 10001\r\n\r\n" + b" " * 10001,
        b"Transfer-Encoding: chunked\r\n\r\nffff\r\n" + b" " * 0xFFFF,
    ],
)
def test_a_huge_body_is_refused_without_being_kept(
    impatient: RunningRelay, connect: Peers, head: bytes
) -> None:
    found = read_all(connect(HEAD + head))
    assert found.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 ")), found
    others_are_served(impatient)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Host: evil.example\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    ],
)
def test_what_is_no_request_for_us_stores_nothing(
    impatient: RunningRelay, connect: Peers, data: bytes
) -> None:
    found = read_all(connect(data))
    assert b" 202 " not in found
    others_are_served(impatient)
    assert impatient.waiting() == 1


def test_each_of_several_requests_in_one_go_has_an_answer_of_its_own(
    impatient: RunningRelay, connect: Peers
) -> None:
    good = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    bad = HEAD + b"Content-Length: 2\r\n\r\n[]"
    last = good.replace(b"\r\nHost", b"\r\nConnection: close\r\nHost")
    found = read_all(connect(good + bad + last))
    assert re.findall(rb"HTTP/1.1 (\d+) ", found) == [b"202", b"400", b"202"]
    assert impatient.waiting() == 2


def test_a_body_that_does_not_come_keeps_no_relay_from_its_end_and_is_answered_in_order(
    make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("segops_durable.relay.serving._GRACE_SECONDS", 0.3)
    relay = make_relay()
    with ExitStack() as stack:
        peer = Peers(relay, stack)(
            HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY)
        )
        assert peer.recv(12) == b"HTTP/1.1 100"  # it was let in
        relay.stop()
        found = read_all(peer)
    assert b"HTTP/1.1 503 " in found
    assert b"retry-after: 1" in found.lower()
    assert "Traceback" not in caplog.text
    assert relay.waiting() == 0


def test_while_another_has_the_outbox_locked_those_are_served_who_store_nothing(
    make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = make_relay(options={"lock_timeout": 120.0})
    assert relay.track(event(0)).status_code == 202
    usually, is_waiting = WriteGate._wait, threading.Event()

    def wait(self: WriteGate, *arguments: Any) -> None:
        if threading.get_ident() == relay.loop_thread:
            is_waiting.set()
        usually(self, *arguments)

    monkeypatch.setattr(WriteGate, "_wait", wait)
    with ThreadPoolExecutor() as pool, closing(FileLock(lock_path(relay.queue_path))) as lock:
        assert lock.acquire(60)
        stored = pool.submit(relay.track, event(1))
        assert is_waiting.wait(60)
        assert relay.get("/").status_code == 200  # the page
        assert not stored.done()
        lock.release()
        assert stored.result().status_code == 202
