"""Connections of our own: they keep to a deadline, and do better what urllib3's do not.

They try the addresses of a host side by side, read past any number of headers, and say how far
a request came.
"""

from __future__ import annotations

import http.client
import io
import socket
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import requests.adapters
import urllib3.connection
import urllib3.connectionpool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from segops_durable.api.deadline import Deadline, Reader
from segops_durable.api.headers import HeaderSieve, read_head
from segops_durable.system.descriptors import FileId, file_of

if TYPE_CHECKING:
    from segops_durable.api.connecting import Dialler
    from segops_durable.api.progress import RequestProgress

_MOST_AT_ONCE = 8192
"""Bytes of an answer that are received at once; a reader of it has room for as many."""

_AT_ONCE = 16_384
"""Bytes that a new socket takes without waiting for its peer to read (Linux, tcp_wmem)."""


@dataclass(frozen=True)
class Link:
    """What a connection of our own goes by.

    Attributes:
        deadline: When a request has to be over.
        progress: Hears how far it came.
        dialler: Opens connections.
    """

    deadline: Deadline
    progress: RequestProgress
    dialler: Dialler


class DeadlineAdapter(requests.adapters.HTTPAdapter):
    """Opens connections, proxied ones as well, that keep to a deadline.

    Args:
        link: What they go by.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._pools = {
            "http": _pool_class(urllib3.connectionpool.HTTPConnectionPool, link),
            "https": _pool_class(urllib3.connectionpool.HTTPSConnectionPool, link),
        }
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - passed on
        """Make the pools of one proxy; SOCKS brings its own connections."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        if proxy.lower().startswith("socks"):
            # those do not say when a request leaves: what fails may have been sent from here on
            self._link.progress.begin()
        else:
            manager.pool_classes_by_scheme = self._pools
        return manager


def _pool_class(base: Any, link: Link) -> Any:  # noqa: ANN401 - a class made to order
    kind = base.ConnectionCls
    connection = type(kind.__name__, (Connection, kind), {"link": link})
    return type(base.__name__, (base,), {"ConnectionCls": connection})


class Connection(urllib3.connection.HTTPConnection):
    """What both of urllib3's connections are made into."""

    link: Link
    _is_requesting = False
    _file: FileId | None = None
    _given_timeout: float
    sock: Any  # a socket; None while there is none

    @property
    def response_class(self) -> Any:  # type: ignore[override]  # noqa: ANN401 - called as a class
        """What reads an answer."""
        return partial(_Response, deadline=self.link.deadline)

    @property
    def timeout(self) -> float:
        """What urllib3 reads before each of its waits."""
        return min(self._given_timeout, self.link.deadline.remaining)

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        remaining = self.link.deadline.remaining
        self._given_timeout = remaining if seconds is None else seconds

    @property
    def is_connected(self) -> bool:
        """What urllib3 asks before it uses a connection again."""
        self._leave_what_is_lost()
        return super().is_connected

    def connect(self) -> None:
        """Open the connection, and note which socket it is."""
        super().connect()
        self._file = file_of(self.sock.fileno())

    def close(self) -> None:
        """Close it, unless the program has done so: its number may be another file's by now."""
        self._leave_what_is_lost()
        super().close()

    def _leave_what_is_lost(self) -> None:
        if self.sock is not None and self._file and file_of(self.sock.fileno()) != self._file:
            self.sock.detach()
            self.sock = None

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        """Send a request, and say how far it came."""
        progress = self.link.progress
        progress.is_tracked = self._is_requesting = True
        try:
            super().request(*args, **kwargs)
            progress.is_whole = True
        finally:
            self._is_requesting = False
            progress.has_left()

    def ask(self, head: bytes, body: bytes) -> bytes:
        """Send a request, as it is, over a connection that is open; wait for the answer.

        Args:
            head: The request line, and the headers to their end.
            body: What follows.

        Returns:
            What came first of the answer, for `head_of` if it is not all; nothing at its end.

        Raises:
            OSError: The connection broke, or the time is up.
        """
        progress = self.link.progress
        progress.is_tracked = self._is_requesting = True
        try:
            if len(body) > _AT_ONCE:
                self.send(head)
                self.send(body)
            else:
                self.send(head + body)
            progress.is_whole = True
        except (BrokenPipeError, ConnectionResetError):
            pass  # whoever hangs up in the middle may have said why before, as for a 413
        finally:
            self._is_requesting = False
            progress.has_left()
        deadline = self.link.deadline
        deadline.run_aside(progress.meanwhile)
        deadline.check()
        self.sock.settimeout(deadline.remaining)
        came: bytes = self.sock.recv(_MOST_AT_ONCE)
        return came

    def head_of(self, came: bytes) -> http.client.HTTPResponse:
        """Read the head of an answer.

        Args:
            came: What came first of it.

        Raises:
            OSError: The connection broke, or the time is up.
            http.client.HTTPException: What came is not HTTP.
        """
        deadline = self.link.deadline
        wire = _OwnResponse(self.sock, method="POST", deadline=deadline, came=came)
        wire.begin()
        return wire

    def send(self, data: Any) -> None:  # noqa: ANN401 - passed on
        """Send a part of a request, if it may leave."""
        if self.sock is None:
            # before `begin` asks whether it may leave: to connect takes seconds, in which `forget`
            # may erase an event of it; and what fails here has certainly sent nothing
            self.connect()
        if self._is_requesting:
            self.link.progress.begin()
        self.sock.settimeout(self.link.deadline.remaining)
        super().send(data)
        if self._is_requesting:
            self.link.progress.has_left()

    def _new_conn(self) -> socket.socket:
        try:
            found = self._dial()
        except socket.gaierror as error:
            raise NewConnectionError(self, f"{self.host} is not found: {error}") from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"{self.host} gives no answer in time") from error
        except OSError as error:
            raise NewConnectionError(self, f"no connection: {error}") from error
        sys.audit("http.client.connect", self, self.host, self.port)
        return found

    def _dial(self) -> socket.socket:
        host = self._dns_host.strip("[]")
        try:
            host.encode("idna")
        except UnicodeError:
            raise OSError(f"{host!r} is no name of a host") from None
        family = allowed_gai_family()
        addresses = socket.getaddrinfo(host, self.port, family, socket.SOCK_STREAM)
        found = self.link.dialler.connect(addresses, self.timeout, self._prepare)
        found.settimeout(self.timeout)
        return found

    def _prepare(self, attempt: socket.socket) -> None:
        for option in self.socket_options or ():
            attempt.setsockopt(*option)
        if self.source_address:
            attempt.bind(self.source_address)


class _Stream:
    """What `http.client` asks for a file to read, in the place of a socket."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file

    def makefile(self, *_args: object) -> io.BufferedReader:
        """The file."""
        return self._file


class _Response(http.client.HTTPResponse):
    """Reads by a deadline, and passes over headers that nobody needs."""

    def __init__(
        self,
        sock: socket.socket,
        *args: Any,  # noqa: ANN401 - passed on
        deadline: Deadline,
        came: bytes = b"",
        **kwargs: Any,  # noqa: ANN401 - likewise
    ) -> None:
        stream: Any = _Stream(io.BufferedReader(Reader(sock, deadline, came), _MOST_AT_ONCE))
        super().__init__(stream, *args, **kwargs)

    def begin(self) -> None:
        """Read a head."""
        stream = self.fp
        self.fp = HeaderSieve(stream)  # type: ignore[assignment]  # has what is used of one
        try:
            self._read_head()
        finally:
            if self.fp is not None:  # as it is after nonsense
                self.fp = stream

    def _read_head(self) -> None:
        super().begin()


class _OwnResponse(_Response):
    """Reads a head by hand, where nobody needs what `http.client` makes of it."""

    def _read_head(self) -> None:
        read_head(self)
