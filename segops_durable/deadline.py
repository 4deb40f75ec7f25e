"""One deadline for all of a request: connecting, sending, the headers, the body.

The timeout of `requests` is for each read from the socket anew, so a peer that sends a byte
a second is waited for as long as it likes. Here every wait is cut to what is left in all.
Only the resolver's is not: a name is looked up by the system, which has its own timeouts.
"""

from __future__ import annotations

import http.client
import io
import time
from typing import TYPE_CHECKING, Any

import requests.adapters
import urllib3.connection
import urllib3.connectionpool

if TYPE_CHECKING:
    import socket

    from typing_extensions import Buffer

_LEAST_SECONDS = 0.001
"""A socket's timeout of 0 would mean: do not wait, and fail in another way."""


class Deadline:
    """When the request under way has to be over."""

    def __init__(self) -> None:
        self._end = 0.0

    def start(self, seconds: float) -> None:
        """Begin a request that may take so long."""
        self._end = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._end

    @property
    def remaining(self) -> float:
        """Seconds left, as a socket's timeout: never 0."""
        return max(_LEAST_SECONDS, self._end - time.monotonic())

    def check(self) -> None:
        """Raise once the time is up.

        Raises:
            TimeoutError: It is.
        """
        if self.is_over:
            raise TimeoutError("the request took longer than the timeout in all")


class DeadlineAdapter(requests.adapters.HTTPAdapter):
    """Opens connections, proxied ones as well, that keep to a deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._pools = {
            "http": _pool_class(urllib3.connectionpool.HTTPConnectionPool, deadline),
            "https": _pool_class(urllib3.connectionpool.HTTPSConnectionPool, deadline),
        }
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - passed on
        """Make the pools of one proxy; SOCKS brings its own connections."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pools
        return manager


def _pool_class(base: Any, deadline: Deadline) -> Any:  # noqa: ANN401 - a class made to order
    connection = _connection_class(base.ConnectionCls, deadline)
    return type(base.__name__, (base,), {"ConnectionCls": connection})


def _connection_class(base: Any, deadline: Deadline) -> Any:  # noqa: ANN401 - a class made to order
    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
            super().__init__(sock, *args, **kwargs)
            self.fp.close()
            self.fp = io.BufferedReader(_Reader(sock, deadline))

    class Connection(base):  # type: ignore[misc]  # either of urllib3's two
        response_class = Response

        @property
        def timeout(self) -> float:
            """What urllib3 reads before each of its waits."""
            return min(self._given_timeout, deadline.remaining)

        @timeout.setter
        def timeout(self, seconds: float | None) -> None:
            self._given_timeout = deadline.remaining if seconds is None else seconds

        def send(self, data: Any) -> None:  # noqa: ANN401 - passed on
            if self.sock is not None:
                self.sock.settimeout(deadline.remaining)
            super().send(data)

    return Connection


class _Reader(io.RawIOBase):
    """Reads from a socket, each time with no more than what is left of the deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._socket = sock
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open until it is closed
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, buffer: Buffer, /) -> int | None:
        self._deadline.check()
        self._socket.settimeout(self._deadline.remaining)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
