"""A server on a raw socket: it says whatever a test wants, where HTTP libraries are too polite."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from typing_extensions import Self

LONG_SECONDS = 60.0


@dataclass(frozen=True)
class Request:
    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the events of a batch."""
        return [event["payload"]["n"] for event in json.loads(self.body)["events"]]


def answer(
    status: int,
    document: object = None,
    headers: Mapping[str, str] | None = None,
    *,
    content_type: str = "application/json",
) -> bytes:
    """An answer as it goes over the wire; a document that is text goes as it is."""
    text = document if isinstance(document, str) else json.dumps(document)
    fields = {"Content-Type": content_type, "Content-Length": str(len(text)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n{text}".encode()


Socket = socket.socket


class Peer:
    """Serves each connection in a thread of its own.

    Args:
        react: Called with each request; what it returns is sent. None closes the connection.
        tls: For https.
    """

    def __init__(
        self, react: Callable[[Request], bytes | None], tls: ssl.SSLContext | None = None
    ) -> None:
        self.react = react
        self.requests: list[Request] = []
        self.connections = 0
        self.accepted: Counter[int] = Counter()
        self.over = threading.Event()  # what dawdles waits on it
        self._newest: Socket | None = None
        self._here = threading.local()
        self._tls = tls
        self._threads: list[threading.Thread] = []
        self._open: list[Socket] = []

    @property
    def socket(self) -> Socket | None:
        """That of the request at hand; for who has none at hand, that of the newest."""
        found: Socket | None = getattr(self._here, "socket", self._newest)
        return found

    def accept(self, request: Request) -> bytes:
        """Take all events, as SegOps does."""
        numbers = request.numbers
        self.accepted.update(numbers)
        return answer(202, {"queued": len(numbers), "skipped": 0})

    def dribble(self, data: bytes) -> None:
        """Send a byte every now and then, for ever."""
        with suppress(OSError):
            for byte in data * 10_000:
                assert self.socket is not None
                self.socket.sendall(bytes([byte]))
                if self.over.wait(0.02):
                    return

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://localhost:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._start(self._listen)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        for each in [self._listener, *self._open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(LONG_SECONDS)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, plain: Socket) -> None:
        with suppress(OSError, EOFError), plain:
            connection = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
            with connection, connection.makefile("rb") as stream:
                while True:
                    request = _read(stream)
                    self.requests.append(request)
                    self._newest = self._here.socket = connection
                    reply = self.react(request)
                    if reply is None:
                        return
                    connection.sendall(reply)


def _read(stream: Any) -> Request:
    line = stream.readline().decode().strip()
    if not line:
        raise EOFError
    headers: dict[str, str] = {}
    while field := stream.readline().decode().strip():
        name, _, value = field.partition(":")
        headers[name.lower()] = value.strip()
    return Request(line, headers, stream.read(int(headers.get("content-length", 0))))
