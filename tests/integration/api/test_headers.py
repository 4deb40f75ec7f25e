"""Heads that are read by hand mean what `http.client` makes of them."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from segops_durable.api.verdicts import Answer, Verdict
from support.peer import Peer, Request
from support.wire import HEAD, answered, numbered, post

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.api.exchange import Exchange

ODD = {
    "names of any case": b"content-TYPE: application/json\r\nCONTENT-length: 2\r\n\r\n{}",
    "lines that end early": b"Content-Type: application/json\nContent-Length: 2\n\n{}",
    "a type twice": HEAD[23:] * 2 + b"Content-Length: 2\r\n\r\n{}",
    "a length twice": HEAD[23:] + b"Content-Length: 2\r\n" * 2 + b"\r\n{}",
    "lengths that differ": HEAD[23:] + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "lengths that differ in a line": HEAD[23:] + b"Content-Length: 2, 3\r\n\r\n{} ",
    "a length that no number has": HEAD[23:] + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
    "a length with a sign": HEAD[23:] + b"Content-Length: +2\r\n\r\n{}",
    "a length and more": HEAD[23:] + b"Content-Length: 2\r\n\r\n{}{}",
    "a folded line": b"Content-Type:\r\n application/json\r\nContent-Length: 2\r\n\r\n{}",
    "an end that is said": HEAD[23:] + b"Connection: Close\r\nContent-Length: 2\r\n\r\n{}",
    "chunks and a trailer": HEAD[23:]
    + b"Transfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n",
    "chunks of a length": HEAD[23:]
    + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a line without a colon": b"Date\r\n" + HEAD[23:] + b"Content-Length: 2\r\n\r\n{}",
    "a space before a colon": HEAD[23:] + b"Content-Length : 2\r\n\r\n{}",
    "a line that is too long": b"Date: " + b"x" * 70_000 + b"\r\n" + HEAD[23:] + b"\r\n{}",
    "no headers": b"\r\n{}",
}


@pytest.mark.parametrize(
    "line",
    ["HTTP/1.1 202 Accepted", "HTTP/1.0 202 Accepted", "HTTP/1.1 204", "HTTP/2 202 Accepted"],
)
@pytest.mark.parametrize("said", ODD.values(), ids=list(ODD))
def test_an_odd_answer_counts_over_an_open_connection_for_what_it_does_over_a_new_one(
    own: Callable[..., Exchange], line: str, said: bytes
) -> None:
    def react(request: Request) -> bytes | None:
        if request.body != b"odd":
            return numbered(request)
        assert odd.socket is not None
        odd.socket.sendall(f"{line}\r\n".encode() + said)
        odd.socket.shutdown(socket.SHUT_WR)
        return b""

    believed: list[object] = []
    with Peer(react) as odd:
        for first in ([], ["a"]):
            exchange = own(odd.url)
            for each in first:
                assert answered(exchange, each) == each
            reply = post(exchange, "odd")
            believed.append(
                reply.meaning if isinstance(reply, Verdict) else (reply.status, reply.document)
            )
    over_a_new_one, over_an_open_one = believed
    assert over_an_open_one == over_a_new_one


@pytest.mark.parametrize(
    ("said", "is_kept"),
    [
        (b"HTTP/1.1 202 A\r\n" + HEAD[23:] + b"Content-Length: 2\r\n" * 2, True),
        (b"HTTP/1.1 202 A\r\n" + HEAD[23:] + b"Content-Length: 2\r\nConnection: CLOSE\r\n", False),
        (b"HTTP/1.0 202 A\r\n" + HEAD[23:] + b"Content-Length: 2\r\n", False),
        (b"HTTP/1.0 202 A\r\n" + HEAD[23:] + b"Content-Length: 2\r\nKeep-Alive: 9\r\n", False),
    ],
)
def test_a_connection_is_kept_after_what_does_not_say_that_it_ends(
    own: Callable[..., Exchange], said: bytes, is_kept: bool
) -> None:
    odd = Peer(lambda each: said + b"\r\n{}" if each.body == b"odd" else numbered(each))
    with odd:
        exchange = own(odd.url)
        assert answered(exchange, "a") == "a"
        assert isinstance(post(exchange, "odd"), Answer)
        assert answered(exchange, "b") == "b"
        assert odd.connections == (1 if is_kept else 2)
