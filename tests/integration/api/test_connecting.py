"""Addresses that swallow packets, and proxies: the way that works is found in time."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests

from segops_durable.api.connecting import Dialler
from segops_durable.api.exchange import Exchange
from segops_durable.api.verdicts import Verdict
from support.peer import Peer, Request
from support.wire import answered, numbered, post

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# Addresses that swallow packets


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[str, int]]]:
    """Names that this machine resolves to the addresses that a test gives them."""
    known: dict[str, list[tuple[str, int]]] = {}
    resolve = socket.getaddrinfo

    def look_up(host: str, *args: Any, **kwargs: Any) -> list[Any]:
        if host not in known:
            return resolve(host, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@contextmanager
def swallowing() -> Iterator[tuple[str, int]]:
    """An address whose full backlog swallows whatever would connect to it."""
    with ExitStack() as stack:
        hole = stack.enter_context(socket.create_server(("127.0.0.2", 0), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(hole.getsockname())
        yield hole.getsockname()


def port_of(peer: Peer) -> int:
    return int(peer.url.rpartition(":")[2])


def test_addresses_that_swallow_packets_do_not_eat_the_time_of_the_one_that_works(
    connect: Callable[..., Exchange], hosts: dict[str, list[tuple[str, int]]]
) -> None:
    with Peer(numbered) as segops, swallowing() as first, swallowing() as second:
        hosts["segops.localhost"] = [first, second, ("127.0.0.1", port_of(segops))]
        exchange = connect("http://segops.localhost", timeout=9.0)
        began = time.monotonic()
        assert [answered(exchange, each) for each in "ab"] == ["a", "b"]
        assert time.monotonic() - began < 9.0  # in all, and not for each address


def test_the_next_address_is_tried_long_before_the_timeout_of_the_first(
    hosts: dict[str, list[tuple[str, int]]],
) -> None:
    with Peer(numbered) as segops, swallowing() as hole:
        hosts["segops.localhost"] = [hole, ("127.0.0.1", port_of(segops))]
        exchange = Exchange("http://segops.localhost", timeout=60.0, user_agent="test")
        began = time.monotonic()
        assert answered(exchange, "a") == "a"
        assert time.monotonic() - began < 10.0
        exchange.close()


def test_a_proxys_addresses_have_time_each_as_well(
    connect: Callable[..., Exchange],
    hosts: dict[str, list[tuple[str, int]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Peer(numbered) as proxy, swallowing() as hole:
        hosts["proxy.internal"] = [hole, ("127.0.0.1", port_of(proxy))]
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, "http://proxy.internal:8080")
        assert answered(connect("http://segops.invalid", timeout=2.0), "a") == "a"


@pytest.mark.one_python
def test_a_slow_answer_counts_also_when_an_address_has_taken_time(
    connect: Callable[..., Exchange], hosts: dict[str, list[tuple[str, int]]]
) -> None:
    """What the server accepted is not told of as unreachable."""

    def react(request: Request) -> bytes:
        slow.over.wait(1.2)
        return numbered(request)

    with Peer(react) as slow, swallowing() as hole:
        hosts["segops.localhost"] = [hole, ("127.0.0.1", port_of(slow))]
        assert answered(connect("http://segops.localhost", timeout=2.0), "a") == "a"


def test_an_address_that_connects_and_gives_no_answer_comes_last_from_then_on(
    hosts: dict[str, list[tuple[str, int]]],
) -> None:
    with Peer(numbered) as segops, socket.create_server(("127.0.0.2", 0)) as mute:
        hosts["segops.localhost"] = [mute.getsockname(), ("127.0.0.1", port_of(segops))]
        exchange = Exchange("http://segops.localhost", timeout=0.5, user_agent="test")
        assert isinstance(post(exchange, "a"), Verdict)
        assert answered(exchange, "b") == "b"
        exchange.close()


def test_the_next_address_is_tried_at_once_after_one_that_refuses_or_cannot_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as open_one:
        closed = socket.create_server(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        closed.close()
        unknown = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 1, 0, 0))
        addresses = [
            unknown,
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", open_one.getsockname()),
        ]
        with Dialler().connect(addresses, 5.0) as found:
            assert found.getpeername() == open_one.getsockname()
        with pytest.raises(ConnectionRefusedError):
            Dialler().connect(addresses[1:2], 5.0)
    with swallowing() as hole, pytest.raises(TimeoutError):
        Dialler().connect([(socket.AF_INET, socket.SOCK_STREAM, 6, "", hole)], 0.1)


# Proxies and this machine itself


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "segops.localhost", "LOCALHOST."])
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_what_goes_to_this_machine_itself_passes_no_proxy(
    connect: Callable[..., Exchange],
    hosts: dict[str, list[tuple[str, int]]],
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    variable: str,
) -> None:
    with Peer(numbered) as segops, Peer(numbered) as proxy:
        names = ["segops.localhost", "localhost.", "LOCALHOST."]
        hosts.update({name: [("127.0.0.1", port_of(segops))] for name in names})
        monkeypatch.setenv(variable, proxy.url)
        assert answered(connect(f"http://{host}:{port_of(segops)}"), "a") == "a"
        assert proxy.requests == []


def test_a_proxy_that_a_session_names_itself_is_used_whatever_the_host() -> None:
    with Peer(numbered) as proxy, requests.Session() as session:
        session.proxies["http"] = proxy.url
        exchange = Exchange("http://127.0.0.1:9", timeout=5, user_agent="test", session=session)
        assert answered(exchange, "a") == "a"
        assert len(proxy.requests) == 1
