"""A load over raw sockets: some connections, each with one request at a time."""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from dataclasses import dataclass, field
from typing import Any

EVENTS = 20
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_SERVER_ERROR = 500


@dataclass
class Measured:
    """What a load has found.

    Attributes:
        seconds: How long it took.
        statuses: How many answers had which status.
        latencies: Seconds from the last byte of a request to that of its answer.
        processor_seconds: What the server has used of the processors; 0 where nobody looked.
    """

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    processor_seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Events that were taken in a second."""
        return self.statuses.get(202, 0) * EVENTS / self.seconds

    @property
    def failed(self) -> int:
        """Answers of a server that could not."""
        return sum(count for status, count in self.statuses.items() if status >= _SERVER_ERROR)

    @property
    def processor_seconds_each(self) -> float:
        """The same for a request."""
        return self.processor_seconds / max(1, len(self.latencies))

    def percentile(self, share: float) -> float:
        """Seconds that so large a share of the answers took at most."""
        found = sorted(self.latencies)
        return found[min(len(found) - 1, int(len(found) * share))]


class _Connection:
    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._found = b""
        self.sent_at = 0.0

    def send(self) -> None:
        self.socket.sendall(self._request)
        self._found = b""
        self.sent_at = time.perf_counter()

    def read(self) -> int | None:
        """Read what has come; the status, once the answer is whole."""
        part = self.socket.recv(1 << 16)
        if not part:
            raise ConnectionResetError("the server has closed a connection")
        self._found += part
        head, end, body = self._found.partition(_HEAD_END)
        if not end:
            return None
        length = _LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return None
        return int(head.split(b" ", 2)[1])


def batch() -> bytes:
    """The body of a batch, as an SDK posts it."""
    events = [
        {
            "user_id": f"user-{number}",
            "event_type": "page_viewed",
            "occurred_at": "2026-01-31T12:00:00+00:00",
            "payload": {"screen": "Pricing", "number": number, "total": 9.5, "is_new": True},
        }
        for number in range(EVENTS)
    ]
    return json.dumps({"events": events}).encode()


def put_load(port: int, connections: int, seconds: float) -> Measured:
    """Post batches over so many connections for so long."""
    body = batch()
    head = (
        f"POST /api/ingestion/track/batch/ HTTP/1.1\r\nHost: localhost:{port}\r\n"
        f"Authorization: ApiKey sk_test\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    found = Measured()
    with selectors.DefaultSelector() as selector:
        opened = [_Connection(port, request) for _ in range(connections)]
        for each in opened:
            selector.register(each.socket, selectors.EVENT_READ, each)
        start = time.perf_counter()
        for each in opened:
            each.send()
        busy = len(opened)
        while busy:
            for key, _ in selector.select():
                busy -= _turn(key.data, found, is_over=time.perf_counter() - start > seconds)
        found.seconds = time.perf_counter() - start
        for each in opened:
            each.socket.close()
    return found


def _turn(connection: Any, found: Measured, *, is_over: bool) -> bool:  # noqa: ANN401 - of a selector
    """Have a connection take its turn; say whether it was its last."""
    status = connection.read()
    if status is None:
        return False
    found.latencies.append(time.perf_counter() - connection.sent_at)
    found.statuses[status] = found.statuses.get(status, 0) + 1
    if not is_over:
        connection.send()
    return is_over
