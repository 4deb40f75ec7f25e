"""What is certain about a request that failed."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from segops_durable.api.exchange import Exchange
from segops_durable.api.verdicts import Meaning, Verdict
from support.peer import Peer
from support.wire import post

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


# What is certain about a request that failed


def verdict(exchange: Exchange, body: str = "a") -> Verdict:
    reply = post(exchange, body)
    assert isinstance(reply, Verdict)
    assert reply.meaning is Meaning.UNREACHABLE
    return reply


def test_a_proxy_that_hangs_up_after_the_request_may_have_passed_it_on(
    connect: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Peer(lambda _request: None) as proxy:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy.url)
        said = verdict(connect("http://segops.invalid"))
        assert (said.is_unsent, said.may_have_arrived) == (False, True)
        assert len(proxy.requests) == 1


def test_a_request_without_a_connection_is_certain_not_to_have_left(
    connect: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = socket.create_server(("127.0.0.1", 0))
    nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    closed.close()
    assert verdict(connect(nobody)).is_unsent
    assert verdict(connect("http://nowhere.invalid")).is_unsent
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, nobody)
    assert verdict(connect("http://segops.invalid")).is_unsent
    assert verdict(connect("https://segops.invalid")).is_unsent


def test_an_answer_that_is_lost_leaves_it_open_whether_the_request_arrived(
    connect: Callable[..., Exchange],
) -> None:
    with Peer(lambda _request: None) as lost:
        said = verdict(connect(lost.url))
    assert (said.is_unsent, said.may_have_arrived) == (False, True)


def test_a_request_that_did_not_leave_whole_cannot_have_been_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        exchange = Exchange(url, timeout=0.3, user_agent="test")
        said = verdict(exchange, "x" * 20_000_000)
        exchange.close()
    assert (said.is_unsent, said.is_cut, said.may_have_arrived) == (False, True, False)
