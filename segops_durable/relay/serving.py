"""A relay from its start to its end: its client, its listener, and the server between them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import stat
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from segops_durable.errors import ConfigurationError
from segops_durable.relay.app import App
from segops_durable.relay.callers import Callers
from segops_durable.relay.client import RelayClient
from segops_durable.relay.protocol import Protocol, hang_up
from segops_durable.relay.sessions import Sessions
from segops_durable.relay.signing import Signer
from segops_durable.relay.tokens import Tokens, secret_beside
from segops_durable.relay.upstream import Upstream
from segops_durable.watching import outbox_page

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from segops_durable.client import Options
    from segops_durable.delivery import FlushResult
    from segops_durable.relay.settings import RelaySettings

BACKLOG = 1024
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
        opened = [*listeners] or [_listening(self.settings)]
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

            def end() -> None:
                page.end()
                upstream.end()

            await self._serve(opened, _Server(_config(app), end), on_ready)
        finally:
            for each in opened:
                each.close()
            if self.settings.socket is not None:
                self.settings.socket.unlink(missing_ok=True)
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
            on_ready(_url_of(listeners[0]))
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
        end_streams: Ends those answers that would go on, or wait for something.
    """

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], object]) -> None:
        super().__init__(config)
        self._end_streams = end_streams
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
        self._end_streams()
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


def _listening(settings: RelaySettings) -> socket.socket:
    """Listen; what goes wrong says where."""
    try:
        return _listener(settings)
    except OSError as error:
        where = settings.socket or settings.listen
        raise OSError(error.errno, f"cannot listen on {where}: {error.strerror}") from None


def _listener(settings: RelaySettings) -> socket.socket:
    if settings.socket is not None:
        return _file_listener(settings.socket)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it an answer in
    # two writes waits 40 ms for an acknowledgement
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _file_listener(path: Path) -> socket.socket:
    """Listen on a Unix socket that only its owner may use; a dead one is replaced."""
    if not hasattr(socket, "AF_UNIX"):
        raise ConfigurationError("socket needs Unix sockets, which are not here", field="socket")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_dead(path)
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_dead(path: Path) -> None:
    """Remove a socket that nobody listens on any more, and nothing else."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        return  # to bind there fails, and says so
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()


def _url_of(listener: socket.socket) -> str:
    name = listener.getsockname()
    if isinstance(name, str | bytes):
        return f"unix:{os.fsdecode(name)}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"
