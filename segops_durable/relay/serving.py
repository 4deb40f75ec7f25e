"""A relay from its start to its end: its client, its listener, and the server between them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from segops_durable.relay.app import App
from segops_durable.relay.callers import Callers
from segops_durable.relay.client import RelayClient
from segops_durable.relay.listening import BACKLOG, Listener, url_of
from segops_durable.relay.protocol import Protocol, hang_up
from segops_durable.relay.sessions import Sessions
from segops_durable.relay.signing import Signer
from segops_durable.relay.tokens import Tokens, secret_beside
from segops_durable.relay.upstream import Upstream
from segops_durable.watching import outbox_page

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator, Sequence

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from segops_durable.client import Options
    from segops_durable.delivery import FlushResult
    from segops_durable.relay.settings import RelaySettings

_GRACE_SECONDS = 5
_IDLE_SECONDS = 75
_MOST_HEADER_BYTES = 1 << 15
_MOST_CONNECTIONS = 512


class Relay:
    """Takes events over HTTP, and answers once they are on the disk.

    Args:
        options: Of the client that sends them.
        settings: Where it listens, and whom it serves.

    Attributes:
        client: Stores events, and sends them.
        settings: As given.
    """

    def __init__(self, options: Options, settings: RelaySettings) -> None:
        self.settings: RelaySettings = settings
        self._signer = Signer(settings)
        self._page_token = settings.page_token or secrets.token_urlsafe(24)
        if options.has_public_key:
            options = replace(options, user_context_for=self._signer)
        self.client: RelayClient = RelayClient.of(options)
        self._end: Callable[[], object] = lambda: None

    def run(
        self,
        on_ready: Callable[[str], object] = lambda _url: None,
        more: Sequence[BaseRoute] = (),
        listeners: Sequence[socket.socket] = (),
    ) -> FlushResult:
        """Serve until SIGINT, SIGTERM or `end`; then make one last effort to send.

        Args:
            on_ready: Called with the URL when it listens. Defaults to nobody.
            more: What is served beside SegOps' own paths. Defaults to nothing.
            listeners: Sockets that listen already, of a service manager. Defaults to its own.

        Raises:
            SegOpsError: The outbox cannot be opened.
            OSError: It cannot listen there.
        """
        return asyncio.run(self._run(on_ready, more, listeners))

    def end(self) -> None:
        """Take no more requests, and end; from any thread, once it is ready."""
        self._end()

    def page_address(self, url: str) -> str:
        """Where its page is, with the token.

        Args:
            url: Where it listens.
        """
        return f"{url}/#token={self._page_token}"

    async def _run(
        self,
        on_ready: Callable[[str], object],
        more: Sequence[BaseRoute],
        listeners: Sequence[socket.socket],
    ) -> FlushResult:
        own = None if listeners else Listener(self.settings)
        opened = [*listeners] if own is None else [own.socket]
        upstream: Upstream | None = None
        try:
            await self.client.start()
            upstream = Upstream(self.client)
            page = outbox_page(
                self.client,
                token=self._page_token,
                host=None,  # `Access` sees to that
                hang_up=hang_up,
            )
            app = self._app(upstream).asgi([*page.routes(), *more])
            leave = () if own is None else (own.leave,)
            server = _Server(_config(app), *leave, page.end, upstream.end)
            await self._serve(opened, server, on_ready)
        finally:
            if own is not None:
                own.leave()
            for each in opened:
                each.close()
            result = await self.client.shutdown()
            if upstream is not None:
                upstream.close()
        return result

    async def _serve(
        self, listeners: list[socket.socket], server: _Server, on_ready: Callable[[str], object]
    ) -> None:
        with _ending(server):
            await server.begin(listeners)
            self._end = partial(asyncio.get_running_loop().call_soon_threadsafe, server.end)
            on_ready(url_of(listeners[0]))
            await server.serve_until_told(listeners)

    def _app(self, upstream: Upstream) -> App:
        tokens = Tokens(secret_beside(self.client.path))
        callers = Callers(self.client, tokens, trust_local=self.settings.trust_local)
        sessions = Sessions(self.client, tokens, upstream, self._signer)
        return App(self.client, callers, sessions, self.settings)


class _Server(uvicorn.Server):
    """uvicorn's server, without its signals: what ends it is for the relay to say.

    Args:
        config: As uvicorn has it.
        *endings: What is done first at its end, as for those answers that would go on.
    """

    def __init__(self, config: uvicorn.Config, *endings: Callable[[], object]) -> None:
        super().__init__(config)
        self._endings = endings
        self.over = asyncio.Event()

    async def begin(self, listeners: list[socket.socket]) -> None:
        """Listen."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=listeners)

    async def serve_until_told(self, listeners: list[socket.socket]) -> None:
        """Serve until `end`; then let those finish who were let in."""
        ticks = 0
        while not self.over.is_set():
            await self.on_tick(ticks)
            ticks += 1
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.over.wait(), 0.1)
        for each in self._endings:
            each()
        await self.shutdown(sockets=listeners)

    def end(self) -> None:
        """Take no more requests."""
        if self.over.is_set():
            self.force_exit = True
        self.over.set()


@contextlib.contextmanager
def _ending(server: _Server) -> Generator[None, None, None]:
    """Have SIGINT and SIGTERM end a server, where the loop can be told of them."""
    loop = asyncio.get_running_loop()
    heard = []
    for each in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(each, server.end)
            heard.append(each)
    try:
        yield
    finally:
        for each in heard:
            loop.remove_signal_handler(each)


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
        limit_concurrency=_MOST_CONNECTIONS,
        backlog=BACKLOG,
    )
