"""A SegOps on loopback that writes each request down before it answers."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

_TO_DRIP = 40
_SECONDS_A_DRIP = 0.02


class Request(NamedTuple):
    """A batch, as it came."""

    key: str
    body: bytes


class Record(NamedTuple):
    """A batch, as it was written down.

    Attributes:
        key: Its `Idempotency-Key`.
        is_accepted: Whether its events were taken.
        body: All of it.
    """

    key: str
    is_accepted: bool
    body: str


@dataclass(frozen=True)
class Reply:
    """What becomes of a batch.

    Attributes:
        status: The answer's.
        is_heard: Whether the answer is sent; without it the connection is closed.
        drips: Whether it comes a few bytes at a time.
        retry_after: Seconds, or the text, of the header of that name. Defaults to none.
    """

    status: int = 202
    is_heard: bool = True
    drips: bool = False
    retry_after: int | str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the events are taken."""
        return self.status < 300  # noqa: PLR2004 - as HTTP has it

    def message(self, events: int) -> bytes:
        """The answer, as it goes over the wire."""
        document = {"queued": events, "skipped": 0} if self.is_success else {"detail": "No."}
        text = json.dumps(document)
        fields = [f"Content-Length: {len(text)}", "Content-Type: application/json"]
        if self.retry_after is not None:
            fields.append(f"Retry-After: {self.retry_after}")
        head = "\r\n".join([f"HTTP/1.1 {self.status} Said", *fields])
        return f"{head}\r\n\r\n{text}".encode()


class Recorder:
    """Serves each connection in a thread of its own; a batch is on file before it is answered.

    Args:
        log: Where it is written; `read` reads it.
        react: Called with each batch, in the connection's thread. Defaults to taking them all.
        on_answered: Called once an answer is sent, likewise. Defaults to nobody.
    """

    def __init__(
        self,
        log: Path,
        react: Callable[[Request], Reply] = lambda _request: Reply(),
        on_answered: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        self._react = react
        self._on_answered = on_answered
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._address = self._listener.getsockname()
        self._open: set[socket.socket] = set()
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self.unheard = 0
        """Batches that were accepted, and whose answer may not have come; at most."""

    @property
    def url(self) -> str:
        """Where it is; the same after each start."""
        return f"http://127.0.0.1:{self._address[1]}"

    def __enter__(self) -> Self:
        self._listen(self._listener)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self.stop()

    def stop(self) -> None:
        """Refuse connections, and break those that there are."""
        self._count_unheard(len(self._open))
        for each in (self._listener, *tuple(self._open)):
            with suppress(OSError):  # it is closed on the other side as well
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def start(self) -> None:
        """Listen again, at the same address."""
        self._listener = socket.create_server(self._address)
        self._listen(self._listener)

    def _listen(self, listener: socket.socket) -> None:
        def accept() -> None:
            with suppress(OSError):  # it was stopped
                while True:
                    connection, _ = listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._open.add(connection)
                    threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with suppress(OSError, EOFError), connection.makefile("rb") as stream:
                while self._answer(connection, _read(stream)):
                    self._on_answered()
        finally:
            self._open.discard(connection)
            connection.close()

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        reply = self._react(request)
        record = Record(request.key, reply.is_success, request.body.decode("latin-1"))
        os.write(self._log, (json.dumps(record) + "\n").encode())
        if not reply.is_heard:
            self._count_unheard(int(record.is_accepted))
            return False
        message = reply.message(request.body.count(b'"user_id"'))
        if not reply.drips:
            connection.sendall(message)
            return True
        size = -(-len(message) // _TO_DRIP)
        for first in range(0, len(message), size):
            connection.sendall(message[first : first + size])
            if self._is_over.wait(_SECONDS_A_DRIP):
                return False
        return True

    def _count_unheard(self, batches: int) -> None:
        with self._lock:
            self.unheard += batches


def _read(stream: IO[bytes]) -> Request:
    if not stream.readline().strip():
        raise EOFError
    headers: dict[str, str] = {}
    while field := stream.readline().decode("latin-1").strip():
        name, _, value = field.partition(":")
        headers[name.lower()] = value.strip()
    size = int(headers.get("content-length", 0))
    body = stream.read(size)
    if len(body) < size:  # the sender was killed in the midst of it
        raise EOFError
    return Request(headers.get("idempotency-key", ""), body)


def read(log: Path) -> Iterator[Record]:
    """Read what a recorder has written, in order."""
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            yield Record(*json.loads(line))
