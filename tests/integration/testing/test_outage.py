from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from segops_durable.testing import Outage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segops_durable.sandbox import Sandbox


@pytest.fixture
def outage(sandbox: Sandbox) -> Iterator[Outage]:
    outage = Outage(sandbox)
    yield outage
    outage.close()


def connect(sandbox: Sandbox) -> None:
    address = urlsplit(sandbox.url)
    assert address.hostname is not None
    assert address.port is not None
    with socket.create_connection((address.hostname, address.port), timeout=20):
        pass


def test_connections_are_refused_until_it_ends(sandbox: Sandbox, outage: Outage) -> None:
    url = sandbox.url
    connect(sandbox)
    for _ in range(2):
        outage.begin()
        outage.begin()  # safe twice
        assert outage.is_on is True
        with pytest.raises(ConnectionRefusedError):
            connect(sandbox)
        outage.end()
        outage.end()
        assert bool(outage.is_on) is False
        assert sandbox.url == url
        connect(sandbox)


def test_nobody_else_gets_the_port_meanwhile(sandbox: Sandbox, outage: Outage) -> None:
    port = urlsplit(sandbox.url).port
    outage.begin()
    with socket.socket() as other:
        with pytest.raises(OSError, match="in use") as caught:
            other.bind(("127.0.0.1", port))
        assert caught.value.errno == errno.EADDRINUSE


def test_at_the_end_of_a_test_the_sandbox_stays_away(sandbox: Sandbox, outage: Outage) -> None:
    outage.begin()
    outage.close()
    assert not outage.is_on
    with pytest.raises(ConnectionRefusedError):
        connect(sandbox)
