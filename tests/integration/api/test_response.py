"""An answer belongs to its request, whatever a server or a proxy puts on the wire."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import pytest

from segops_durable.api.exchange import Exchange
from segops_durable.api.verdicts import Answer, Verdict
from support.peer import Peer, Request
from support.wire import HEAD, INTERIM, answered, numbered, post

if TYPE_CHECKING:
    from collections.abc import Callable


# Interim answers


@pytest.mark.parametrize("interim", INTERIM.values(), ids=list(INTERIM))
@pytest.mark.parametrize("times", [1, 3])
def test_what_counts_is_the_answer_behind_interim_ones(
    connect: Callable[..., Exchange], interim: bytes, times: int
) -> None:
    with Peer(lambda request: interim * times + numbered(request)) as hinting:
        exchange = connect(hinting.url)
        assert [answered(exchange, each) for each in "abc"] == ["a", "b", "c"]
        assert hinting.connections == 1


def test_an_interim_answer_that_comes_long_before_the_final_one_is_waited_past(
    connect: Callable[..., Exchange],
) -> None:
    def react(request: Request) -> bytes:
        assert slow.socket is not None
        slow.socket.sendall(INTERIM["early hints"])
        slow.over.wait(0.3)
        return numbered(request)

    with Peer(react) as slow:
        exchange = connect(slow.url)
        assert [answered(exchange, each) for each in "abc"] == ["a", "b", "c"]


@pytest.mark.parametrize("kind", ["processing", "early hints"])
def test_interim_answers_without_end_are_no_answer(
    connect: Callable[..., Exchange], kind: str
) -> None:
    with Peer(lambda _request: INTERIM[kind] * 10_000) as endless:
        assert isinstance(post(connect(endless.url, timeout=3.0), "a"), Verdict)


# Heads and bodies of any size


def test_an_answer_with_hundreds_of_headers_or_a_long_one_counts() -> None:
    """A proxy may add them; a request whose answer is refused for it is made for ever."""
    extra = b"".join(b"X-Trace-%d: %d\r\n" % (n, n) for n in range(300))
    folded = b"X-Long: " + b"y" * 200_000 + b"\r\n z: " + b"y" * 100 + b"\r\n"

    def react(request: Request) -> bytes:
        first, rest = numbered(request).split(b"\r\n", 1)
        return first + b"\r\n" + extra + folded + rest

    with Peer(react) as verbose:
        exchange = Exchange(verbose.url, timeout=5, user_agent="test")
        assert [answered(exchange, each) for each in "ab"] == ["a", "b"]
        exchange.close()
        assert verbose.connections == 1


@pytest.mark.parametrize(
    "said",
    [
        HEAD + b"X: y\r\n" * 1_000_000 + b"\r\n",
        HEAD + b"Content-Length: 1\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 " + b"2" * 100_000,
        b"HTTP/1.1 99999999 Odd\r\n\r\n",
        b"HTTP/9.9 202 Odd\r\n\r\n",
        HEAD + b"Content-Length: 99999999999999999999999999\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n{}\r\n",
        HEAD + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS on a plain port
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
)
def test_no_answer_raises_or_counts_that_is_not_http_to_its_end(
    connect: Callable[..., Exchange], said: bytes
) -> None:
    def react(_request: Request) -> None:
        assert odd.socket is not None
        odd.socket.sendall(said)

    with Peer(react) as odd:
        reply = post(connect(odd.url), "a")
    assert isinstance(reply, Verdict) or reply.document is None


def packed(size: int, kind: str) -> bytes:
    plain = b'{"to": "a", "x": "' + b"x" * size + b'"}'
    return gzip.compress(plain) if kind == "gzip" else zlib.compress(plain)


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
def test_a_packed_answer_is_unpacked_up_to_the_size_of_any_answer(
    connect: Callable[..., Exchange], kind: str
) -> None:
    def react(_request: Request) -> bytes:
        body = packed(sizes.pop(0), kind)
        head = HEAD + f"Content-Encoding: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        return head + body

    sizes = [10, 50_000_000]
    with Peer(react) as packing:
        exchange = connect(packing.url)
        assert answered(exchange, "a") == "a"
        bomb = post(exchange, "b")
        assert isinstance(bomb, Answer)
        assert bomb.body is None
        assert packing.requests[0].headers["accept-encoding"] == "identity"


def test_a_redirect_with_an_endless_body_is_cut_off(connect: Callable[..., Exchange]) -> None:
    def react(_request: Request) -> bytes:
        head = b"HTTP/1.1 302 Found\r\nLocation: /login\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + b"10000\r\n" + b"x" * 65536 + b"\r\n" * 100

    with Peer(react) as endless:
        reply = post(connect(endless.url), "a")
    assert isinstance(reply, Verdict) or (reply.status, reply.body) == (302, None)
