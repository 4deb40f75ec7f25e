"""Connections of the relay: who is alone on them, how answers leave, and how one is got rid of."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import uvicorn

from segops_durable.relay.protocol import Protocol, hang_up, is_alone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send


@contextmanager
def serving(app: ASGIApp, protocol: type[Protocol] = Protocol) -> Iterator[tuple[str, int]]:
    """Serve an application from a thread; say where."""
    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join()


def get(where: tuple[str, int], path: str = "/") -> bytes:
    connection = http.client.HTTPConnection(*where, timeout=60)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body


async def answer(send: Send, body: bytes, *, more_body: bool = False) -> None:
    headers = [] if more_body else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": more_body})


def test_a_connection_that_is_hung_up_on_ends_whatever_was_not_taken() -> None:
    ended = threading.Event()

    async def endless(scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        part = {"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True}
        try:
            while True:
                await asyncio.wait_for(send(part), 1.0)
        except asyncio.TimeoutError:
            hang_up(scope)
        ended.set()

    with serving(endless) as where:
        connection = http.client.HTTPConnection(*where, timeout=60)
        connection.request("GET", "/")
        found = connection.getresponse()
        assert ended.wait(60)
        with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
            found.read()
        connection.close()


def test_a_request_is_alone_unless_another_is_here_that_was_not_answered() -> None:
    has_come = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            has_come.set()
            await receive()
        await answer(send, b"alone" if is_alone(scope) else b"beside another")

    with serving(app) as where, socket.create_connection(where, timeout=60) as other:
        assert get(where) == b"alone"  # a connection that is open is no request
        other.sendall(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        assert has_come.wait(60)
        assert get(where) == b"beside another"
        other.sendall(b"body")
        assert other.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
        assert get(where) == b"alone"
