"""A connection of the relay that its server wants to be rid of."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from typing import TYPE_CHECKING

import pytest
import uvicorn

from segops_durable.relay.protocol import Protocol, hang_up

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


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

    config = uvicorn.Config(endless, http=Protocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        host, port = listener.getsockname()
        connection = http.client.HTTPConnection(host, port, timeout=60)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert ended.wait(60)
        with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
            answer.read()
        connection.close()
        server.should_exit = True
        thread.join()
