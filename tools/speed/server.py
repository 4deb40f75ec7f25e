"""A SegOps on loopback, in a process of its own, that does no more than any server has to."""

from __future__ import annotations

import json
import multiprocessing
import socket
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import IO, TYPE_CHECKING, Any
from urllib.request import urlopen

from _lifetime import end_with_the_tool

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from types import TracebackType

    from typing_extensions import Self

_START_SECONDS = 60.0
_ASK_SECONDS = 60.0
_OF_AN_EVENT = (b'"event_type"', b'"event"', b'"@timestamp"')
"""What each event has once, by whose it is."""


class Server:
    """Takes every event, after a delay; anybody may ask what it has had.

    Args:
        delay: Seconds before each answer, as of a slow link.
    """

    def __init__(self, delay: float = 0) -> None:
        context = multiprocessing.get_context("forkserver")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, delay), daemon=True)
        self._process.start()
        if not ours.poll(_START_SECONDS):
            raise RuntimeError("the server did not start")
        self.url = f"http://127.0.0.1:{ours.recv()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.join()

    def counts(self) -> dict[str, float]:
        """Requests and events since the last reset, and when the first came (`time.monotonic`)."""
        return counts(self.url)

    def reset(self) -> None:
        """Forget what came."""
        ask(self.url, "reset")

    def set_mood(self, mood: str) -> None:
        """Set what becomes of requests: ``open``, ``shut`` (hung up) or ``silent`` (no answer)."""
        ask(self.url, mood)


def ask(url: str, what: str) -> Any:  # noqa: ANN401 - JSON
    """Have a server do something, or say what it has had."""
    with urlopen(f"{url}/_{what}", timeout=_ASK_SECONDS) as answer:  # noqa: S310 - loopback
        return json.load(answer)


def counts(url: str) -> dict[str, float]:
    """See `Server.counts`."""
    return {name: float(value) for name, value in ask(url, "counts").items()}


class _State:
    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.mood = "open"
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self.requests = self.events = 0
        self.first = 0.0

    def note(self, body: bytes) -> None:
        events = next(filter(None, map(body.count, _OF_AN_EVENT)), 0)
        with self.lock:
            self.first = self.first or time.monotonic()
            self.requests += 1
            self.events += events

    def command(self, what: str) -> dict[str, float]:
        if what == "reset":
            self.reset()
        elif what != "counts":
            self.mood = what
        return {"requests": self.requests, "events": self.events, "first": self.first}


def _serve(pipe: Connection, delay: float) -> None:
    end_with_the_tool()
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    state = _State(delay)
    pipe.send(listener.getsockname()[1])
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_talk, args=(connection, state), daemon=True).start()


def _talk(connection: socket.socket, state: _State) -> None:
    with suppress(OSError), connection, connection.makefile("rb") as stream:
        while line := stream.readline():
            path = line.split(b" ")[1].decode()
            body = _body(stream)
            if path.startswith("/_"):
                connection.sendall(_message(200, state.command(path[2:])))
                continue
            if state.mood == "shut":
                return
            if path != "/api/auth/session/":
                state.note(body)
            if state.mood == "silent":
                threading.Event().wait()
            if state.delay:
                time.sleep(state.delay)
            connection.sendall(_answer(path, body))


def _body(stream: IO[bytes]) -> bytes:
    size = 0
    chunked = False
    while (field := stream.readline().lower()) not in {b"\r\n", b""}:
        if field.startswith(b"content-length:"):
            size = int(field[15:])
        chunked |= field.startswith(b"transfer-encoding:") and b"chunked" in field
    if not chunked:
        return stream.read(size)
    body = b""
    while size := int(stream.readline() or b"0", 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body


def _answer(path: str, body: bytes) -> bytes:
    if path == "/api/ingestion/track/batch/":
        events = json.loads(body)["events"]  # as any server has to
        return _message(202, {"queued": len(events), "skipped": 0})
    if path == "/api/ingestion/track/":
        return _message(202, {"queued": True})
    if path == "/api/auth/session/":
        asked = json.loads(body)
        until = datetime.now(timezone.utc) + timedelta(minutes=15)
        uid = asked.get("user_id") or asked.get("anonymous_id")
        return _message(200, {"token": f"t.{uid}.s", "uid": uid, "expires_at": until.isoformat()})
    return _message(200, {"success": True, "status": 1})


def _message(status: int, document: object) -> bytes:
    text = json.dumps(document)
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(text)}\r\n\r\n{text}".encode()
