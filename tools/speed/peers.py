"""Who takes part: each stores, or promises to send, one and the same event."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import persistqueue
import requests

import segops_durable
from speed.server import counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import TypeAlias

    Append: TypeAlias = Callable[[], object]

EVENT: dict[str, Any] = {
    "user_id": "user-123",
    "event_type": "page_viewed",
    "occurred_at": "2026-01-31T12:00:00+00:00",
    "payload": {"screen": "Pricing", "position": 3, "price": 9.99},
}
ROW = json.dumps(EVENT, separators=(",", ":")).encode()
NOWHERE = "http://127.0.0.1:9"
"""The discard port: refused at once, like a machine offline."""
IN_MEMORY = "in memory: lost at a kill"
SYNCED = "on disk, synced"
UNSYNCED = "on disk, lost at a power cut"
_SEND_SECONDS = 60.0


@dataclass(frozen=True)
class Peer:
    """A contender.

    Attributes:
        needs: The module that it needs.
        keeps: Where an event is when its call has returned.
        run: Yields what takes one event.
        count: How many it has stored or sent, once it is closed.
    """

    needs: str
    keeps: str
    run: Callable[[Path, str], AbstractContextManager[Append]]
    count: Callable[[Path, str], float]

    @property
    def is_here(self) -> bool:
        """Whether what it needs is installed."""
        return find_spec(self.needs) is not None


def _rows(name: str, table: str) -> Callable[[Path, str], float]:
    def count(directory: Path, _url: str) -> float:
        with closing(sqlite3.connect(directory / name)) as file:
            return int(file.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - constants

    return count


def _sent(_directory: Path, url: str) -> float:
    return counts(url)["events"]


@contextmanager
def _bare_commit(directory: Path, _url: str) -> Iterator[Append]:
    connection = sqlite3.connect(
        directory / "bare.db", isolation_level=None, check_same_thread=False
    )
    with closing(connection):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(
            "CREATE TABLE q (_id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB, timestamp FLOAT)"
        )
        insert = "INSERT INTO q (data, timestamp) VALUES (?, ?)"
        yield lambda: connection.execute(insert, (ROW, 0.0))


@contextmanager
def _put(directory: Path, _url: str) -> Iterator[Append]:
    queue = persistqueue.SQLiteQueue(str(directory), multithreading=True)
    connection: Any = queue._putter  # noqa: SLF001 - it has no option for it
    connection.execute("PRAGMA synchronous=FULL")
    try:
        yield lambda: queue.put(EVENT)
    finally:
        queue.close()


@contextmanager
def _put_get_ack(directory: Path, _url: str) -> Iterator[Append]:
    queue = persistqueue.SQLiteAckQueue(str(directory), multithreading=True)
    connections: Any = (queue._putter, queue._getter)  # noqa: SLF001 - it has no option for it
    for connection in connections:
        connection.execute("PRAGMA synchronous=FULL")

    def append() -> None:
        queue.put(EVENT)
        queue.ack(queue.get())

    try:
        yield append
    finally:
        queue.close()


@contextmanager
def _litequeue(directory: Path, _url: str) -> Iterator[Append]:
    from litequeue import LiteQueue  # noqa: PLC0415 - in the extra bench

    queue = LiteQueue(directory / "lite.db")
    queue.conn.execute("PRAGMA synchronous=FULL")

    def append() -> None:
        queue.put(ROW.decode())
        queue.done(queue.pop().message_id)

    try:
        yield append
    finally:
        queue.close()


def _ours(durability: str, api_url: str | None = None) -> Any:  # noqa: ANN401 - as Peer.run
    @contextmanager
    def run(directory: Path, url: str) -> Iterator[Append]:
        with ours(directory, api_url or url, durability=durability) as client:
            yield lambda: client.track(EVENT)

    return run


@contextmanager
def ours(
    directory: Path,
    url: str,
    **options: Any,  # noqa: ANN401 - any of the client's
) -> Iterator[segops_durable.SegOpsClient]:
    """A client of this package; at the end it does not wait for anything."""
    client = segops_durable.SegOpsClient(
        url,
        "sk_bench",
        queue_path=directory / "ours.db",
        on_error=lambda _error: None,
        **{"shutdown_timeout": 0, **options},
    )
    try:
        yield client
    finally:
        client.shutdown()


def stored(directory: Path, url: str) -> float:
    """Events that a client of this package has on disk or has delivered."""
    with ours(directory, url, flush_interval=3600) as client:
        stats = client.stats()
        return stats.pending + stats.accepted_total


@contextmanager
def _official(_directory: Path, url: str) -> Iterator[Append]:
    import segops  # noqa: PLC0415 - in the extra bench

    client = segops.SegOpsClient(url, "sk_bench")
    try:
        yield lambda: client.track(EVENT)
    finally:
        client.shutdown()


@contextmanager
def _segment(_directory: Path, url: str) -> Iterator[Append]:
    from segment.analytics.client import Client  # noqa: PLC0415 - in the extra bench

    client = Client("bench", host=url, max_queue_size=1_000_000)
    try:
        yield lambda: client.track("user-123", "page_viewed", EVENT["payload"])
    finally:
        client.shutdown()


@contextmanager
def _posthog(_directory: Path, url: str) -> Iterator[Append]:
    from posthog import Posthog  # noqa: PLC0415 - in the extra bench

    client = Posthog("bench", host=url, max_queue_size=1_000_000)
    try:
        yield lambda: client.capture(
            "page_viewed", distinct_id="user-123", properties=EVENT["payload"]
        )
    finally:
        client.shutdown()


@contextmanager
def _logstash(directory: Path, url: str) -> Iterator[Append]:
    from logstash_async.handler import AsynchronousLogstashHandler  # noqa: PLC0415 - in the extra bench
    from logstash_async.transport import HttpTransport  # noqa: PLC0415 - likewise

    address = urlsplit(url)
    transport = HttpTransport(address.hostname, address.port, ssl_enable=False)
    handler = AsynchronousLogstashHandler(
        address.hostname,
        address.port,
        database_path=str(directory / "logstash.db"),
        transport=transport,
    )
    logger = logging.getLogger("bench")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield lambda: logger.info("page_viewed", extra=EVENT["payload"])
    finally:
        handler.close()


@contextmanager
def _post(_directory: Path, url: str) -> Iterator[Append]:
    with requests.Session() as session:
        session.headers["Authorization"] = "ApiKey sk_bench"

        def append() -> None:
            answer = session.post(
                f"{url}/api/ingestion/track/",
                ROW,
                headers={"Content-Type": "application/json"},
                timeout=10,
            )
            answer.raise_for_status()
            answer.json()

        yield append


PEERS = {
    "bare commit": Peer("sqlite3", SYNCED, _bare_commit, _rows("bare.db", "q")),
    "track": Peer(
        "segops_durable",
        SYNCED,
        _ours("full", NOWHERE),
        lambda directory, _url: stored(directory, NOWHERE),
    ),
    "track, live": Peer("segops_durable", SYNCED, _ours("full"), stored),
    "track, normal, live": Peer("segops_durable", UNSYNCED, _ours("normal"), stored),
    "persist-queue put": Peer("persistqueue", SYNCED, _put, _rows("data.db", "queue_default")),
    "persist-queue put, get, ack": Peer(
        "persistqueue", SYNCED, _put_get_ack, _rows("data.db", "ack_queue_default")
    ),
    "litequeue put, pop, done": Peer("litequeue", SYNCED, _litequeue, _rows("lite.db", "Queue")),
    "official segops": Peer("segops", IN_MEMORY, _official, _sent),
    "segment-analytics-python": Peer("segment", IN_MEMORY, _segment, _sent),
    "posthog": Peer("posthog", IN_MEMORY, _posthog, _sent),
    "python-logstash-async": Peer("logstash_async", IN_MEMORY, _logstash, _sent),
    "requests, one post each": Peer("requests", "nowhere, until SegOps has it", _post, _sent),
}
"""By name; those that send do so to a live server."""


def stay_on_loopback() -> None:
    """Have whatever a peer would send elsewhere end at a port where nobody is."""
    os.environ |= {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1"}
