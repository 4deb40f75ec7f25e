"""After something unexpected a connection is not used again; after a good answer it is."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from segops_durable.api.verdicts import Answer, Verdict
from support.peer import LONG_SECONDS, Peer, Request, answer
from support.wire import AUTH, BODY, GOOD, HEAD, answered, numbered, post

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.api.exchange import Exchange

UNEXPECTED = {
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a page": answer(200, "<html>", content_type="text/html"),
    "a redirect": answer(302, "", {"Location": "/login"}),
    "a server error without a word": answer(500, "", content_type="text/plain"),
    "a request that came too slowly": answer(408, {"detail": "Too slow."}),
    "another answer behind it": GOOD + GOOD,
    "another answer's beginning behind it": GOOD + b"HTTP/1.1 202 Acc",
    "a body that is too large": answer(202, {"detail": "x" * 70_000}),
    "a body of two lengths": HEAD
    + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
    "a body that is longer than it says": HEAD + b"Content-Length: 2\r\n\r\n{}" + BODY,
    "a name that comes twice": answer(202, '{"queued": 1, "skipped": 0, "queued": 1}'),
    "a number that is none": answer(202, '{"queued": 1, "skipped": NaN}'),
}


@pytest.mark.parametrize("said", UNEXPECTED.values(), ids=list(UNEXPECTED))
def test_after_an_unexpected_answer_the_next_request_has_a_connection_of_its_own(
    connect: Callable[..., Exchange], said: bytes
) -> None:
    def react(request: Request) -> bytes:
        return said if len(odd.requests) == 1 else numbered(request)

    with Peer(react) as odd:
        exchange = connect(odd.url)
        post(exchange, "a")
        assert answered(exchange, "b") == "b"
        assert odd.connections == 2


def test_after_a_good_answer_the_connection_is_kept(connect: Callable[..., Exchange]) -> None:
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    replies = [GOOD, chunked, answer(400, {"detail": "No."}), answer(500, {"detail": "Oh."})]
    with Peer(lambda _request: replies[len(good.requests) % len(replies)]) as good:
        exchange = connect(good.url)
        for _ in replies:
            assert isinstance(post(exchange, "a"), Answer)
        assert good.connections == 1


def test_an_answer_that_comes_after_the_timeout_is_not_the_next_requests(
    connect: Callable[..., Exchange],
) -> None:
    sent = threading.Event()

    def react(request: Request) -> bytes:
        if request.body == b"a":
            late.over.wait(0.6)
            sent.set()
        return numbered(request)

    with Peer(react) as late:
        exchange = connect(late.url, timeout=0.4)
        assert isinstance(post(exchange, "a"), Verdict)
        assert sent.wait(LONG_SECONDS)
        assert answered(exchange, "b") == "b"


def test_two_answers_to_each_request_settle_nobody_elses(
    connect: Callable[..., Exchange],
) -> None:
    with Peer(lambda request: numbered(request) * 2) as doubling:
        exchange = connect(doubling.url)
        assert [answered(exchange, each) for each in "abcd"] == list("abcd")


@pytest.mark.parametrize("before", [[], ["a"]], ids=["new", "open"])
def test_who_hangs_up_in_the_middle_of_a_request_is_heard(
    connect: Callable[..., Exchange], before: list[str]
) -> None:
    """As whoever takes no body of such a size does, and says so first."""
    replies: list[Answer | Verdict] = []
    with ExitStack() as open_ones:
        impatient = open_ones.enter_context(socket.create_server(("127.0.0.1", 0)))
        impatient.settimeout(LONG_SECONDS)
        exchange = connect(f"http://127.0.0.1:{impatient.getsockname()[1]}", timeout=LONG_SECONDS)

        def send() -> None:
            replies.extend(post(exchange, each) for each in [*before, "x" * 50_000_000])

        sending = threading.Thread(target=send)
        open_ones.callback(sending.join, LONG_SECONDS)
        sending.start()
        with impatient.accept()[0] as served:
            for each in before:
                while not served.recv(4096).endswith(each.encode()):
                    pass
                served.sendall(answer(202, {}))
            assert served.recv(1)
            served.sendall(answer(413, {"detail": "No more."}))
    assert isinstance(replies[-1], Answer)
    assert replies[-1].status == 413


def test_what_is_done_meanwhile_takes_nothing_from_the_time_of_the_request(
    own: Callable[..., Exchange],
) -> None:
    done: list[int] = []

    def dawdle() -> None:
        done.append(len(segops.requests))
        threading.Event().wait(1.5 * timeout)

    timeout = 1.0
    with Peer(numbered) as segops:
        exchange = own(segops.url, timeout=timeout)
        for _ in range(2):
            assert isinstance(exchange.post("/x", b"1", AUTH, meanwhile=dawdle), Answer)
    assert len(done) == 1  # over a connection that is open
