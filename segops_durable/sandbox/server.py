"""Running the sandbox: in a thread, for tests; or in the foreground, for the command line."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from segops_durable.page import LocalOnly
from segops_durable.sandbox.app import App, Connections
from segops_durable.sandbox.faults import Faults
from segops_durable.sandbox.settings import Settings
from segops_durable.sandbox.store import Store

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

HOST = "127.0.0.1"
_START_SECONDS = 30.0
_GRACE_SECONDS = 1
_TICK_SECONDS = 0.1  # uvicorn's own; a signal is noticed then


class Sandbox:
    """A local SegOps in a thread of this process.

    Args:
        port: Where to listen, on loopback. Defaults to a free port, kept across restarts.
        store: An SQLite file for what was accepted. Defaults to a temporary one, which is
            removed when the sandbox is closed.
        host: The address to listen on. Defaults to loopback; the sandbox checks no
            credentials that would keep anyone out, but it refuses pages of the web.
    """

    def __init__(
        self, port: int = 0, store: str | os.PathLike[str] | None = None, *, host: str = HOST
    ) -> None:
        self._temporary = None if store else tempfile.TemporaryDirectory(prefix="segops-sandbox-")
        self.store_path: Path = Path(store or f"{self._temporary.name}/sandbox.db")  # type: ignore[union-attr]  # one of them is
        self._host, self._port = host, port
        self._connections: Connections = {}
        self._store = Store(str(self.store_path))
        self._app = App(self._store, self._connections)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The `api_url` to give to clients."""
        return f"http://{self._host}:{self._port}"

    def start(self) -> None:
        """Listen, on the port of the last time; returns when it answers."""
        if self._thread is not None:
            return
        listener = self._listen()
        self._server = self._make_server()
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="segops-sandbox", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(_START_SECONDS):
            raise RuntimeError("the sandbox did not start")

    def stop(self) -> None:
        """Stop listening and close every connection; what was accepted stays. Safe twice."""
        if self._thread is None or self._server is None:
            return
        self._server.end()
        self._thread.join()
        self._thread = self._server = None

    def close(self) -> None:
        """Stop, and close the store."""
        self.stop()
        self._store.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def run(self, on_ready: Callable[[], object] = lambda: None) -> None:
        """Serve in the foreground until SIGINT or SIGTERM.

        Args:
            on_ready: Called when it listens.
        """
        try:
            with self._listen() as listener:
                on_ready()
                self._make_server().run([listener])
        finally:
            self.close()

    def faults(self, **faults: Any) -> None:  # noqa: ANN401 - Faults checks each
        """Switch on these `Faults`, in place of any other; none of them clears all."""
        self._app.faults.set(Faults(**faults))

    def configure(self, **settings: Any) -> None:  # noqa: ANN401 - Settings checks each
        """Set up anew: `Settings` that are not named go back to their defaults."""
        self._app.settings = Settings(**settings)

    def wait_for_request(self, timeout: float) -> bool:
        """Wait for the next request; with a `delay` it is then in flight. Say if one came."""
        self._app.arrived.clear()
        return self._app.arrived.wait(timeout)

    def events(self) -> list[dict[str, Any]]:
        """Every accepted event, in the order they came."""
        return self._store.events(limit=-1)

    def requests(self) -> list[dict[str, Any]]:
        """Every request, refused ones as well."""
        return self._store.requests(limit=-1)

    def summary(self) -> dict[str, Any]:
        """Counts: events, distinct ones, requests, repeats, answers."""
        return self._store.summary()

    def _listen(self) -> socket.socket:
        # asyncio sets TCP_NODELAY only where the protocol is named; without it an answer in
        # two writes waits 40 ms for an acknowledgement
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
            listener.listen(128)
        except BaseException:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        return listener

    def _make_server(self) -> _Server:
        page = self._app.page()
        config = uvicorn.Config(
            LocalOnly(self._app.routes(page), self._host, "sandbox"),
            http=_protocol(self._connections),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,  # the app sets it, by a clock that may be set wrong
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        return _Server(config, page.end)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Server(uvicorn.Server):
    """uvicorn's server, which also says when it listens, and ends without waiting for nobody.

    Args:
        config: As uvicorn has it.
        end_streams: Ends those answers that would go on.
    """

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], object]) -> None:
        super().__init__(config)
        self._end_streams = end_streams
        self.ready = threading.Event()
        self._over: Callable[[], object] = lambda: None

    def end(self) -> None:
        """End; from another thread, once it was ready."""
        self.should_exit = True
        self._over()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._is_over = asyncio.Event()
        self._over = partial(asyncio.get_running_loop().call_soon_threadsafe, self._is_over.set)
        self.ready.set()

    async def main_loop(self) -> None:
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._is_over.wait(), _TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self._end_streams()
        await asyncio.sleep(0)  # who was let in before that is among the connections then
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
        for each in sockets or []:
            each.close()


def _protocol(connections: Connections) -> type[asyncio.Protocol]:
    """Uvicorn's HTTP protocol, which also keeps the connections where a fault finds them."""

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base
            super().connection_made(transport)
            if self.client is not None:
                connections[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client is not None:
                connections.pop(self.client, None)
            super().connection_lost(exc)

    return cast("type[asyncio.Protocol]", Protocol)
