"""What is timed: each runs in a process of its own, and proves that it has done it."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import statistics
import threading
import time
from contextlib import closing
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import requests

import segops_durable
from speed.peers import EVENT, NOWHERE, PEERS, ours, stay_on_loopback, stored
from speed.server import ask, counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_COLUMNS = "data, timestamp, crc, identity, uptime, boot"
FLUSH_SECONDS = 600.0
_ROWS_A_COMMIT = 500
_LINES_A_COMMIT = 5000
_FAR = 3600.0
"""Seconds between two rounds where none is wanted."""


class NotStoredError(Exception):
    """A contender has not done what it was timed for."""


class Timing(NamedTuple):
    """Seconds, for one event each.

    Attributes:
        each: Of the clock.
        p99: The 99th percentile of a call.
        cpu: Of the process, all its threads.
    """

    each: float
    p99: float = 0
    cpu: float = 0


def options() -> set[str]:
    """The options that the client has."""
    return {each.name for each in dataclasses.fields(segops_durable.Options)}


def prove(what: str, found: float, expected: float) -> None:
    """Refuse the figures of a contender that has not done its work.

    Raises:
        NotStoredError: It has not.
    """
    if found != expected:
        raise NotStoredError(f"{what}: {found:,.0f} of {expected:,.0f} events are there")


def append(directory: Path, name: str, url: str, events: int, threads: int = 1) -> Timing:
    """Have a peer take events one by one, from some threads."""
    peer = PEERS[name]
    if peer.needs not in {"segops_durable", "segops", "requests"}:
        stay_on_loopback()  # whatever they would like to look up elsewhere
    ask(url, "reset")
    with peer.run(directory, url) as call:
        timing = _time(call, events, threads)
        cpu = time.process_time()
    sent_in_the_end = time.process_time() - cpu
    prove(name, peer.count(directory, url), events // threads * threads)
    return timing._replace(cpu=timing.cpu + sent_in_the_end / events)


def _time(call: Callable[[], object], events: int, threads: int) -> Timing:
    latencies: list[float] = []

    def work() -> None:
        mine = []
        for _ in range(events // threads):
            start = time.perf_counter()
            call()
            mine.append(time.perf_counter() - start)
        latencies.extend(mine)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    cpu, start = time.process_time(), time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    each = (time.perf_counter() - start) / len(latencies)
    p99 = statistics.quantiles(latencies, n=100)[98]
    return Timing(each, p99, (time.process_time() - cpu) / len(latencies))


def deliver(directory: Path, url: str, events: int) -> Timing:
    """Track events one by one beside the sender, and have all of them delivered."""
    ask(url, "reset")
    with ours(directory, url) as client:
        cpu, start = time.process_time(), time.perf_counter()
        for _ in range(events):
            client.track(EVENT)
        client.flush(timeout=FLUSH_SECONDS)
        timing = Timing(
            (time.perf_counter() - start) / events, 0, (time.process_time() - cpu) / events
        )
    prove("delivered", counts(url)["events"], events)
    return timing


def fill(directory: Path, url: str, events: Iterable[dict[str, Any]]) -> None:
    """Have events wait in an outbox, and nothing of them sent."""
    ask(url, "shut")
    with ours(directory, url, flush_interval=_FAR, max_retries=0) as client:
        client.track_many(events)
    ask(url, "open")
    ask(url, "reset")


def drain(
    directory: Path, url: str, events: int, batch_size: int, max_in_flight: int = 1
) -> Timing:
    """Send what waits."""
    fill(directory, url, repeat(EVENT, events))
    more: dict[str, Any] = {"max_in_flight": max_in_flight} if max_in_flight > 1 else {}
    with ours(directory, url, batch_size=batch_size, **more) as client:
        cpu, start = time.process_time(), time.perf_counter()
        client.flush(timeout=FLUSH_SECONDS)
        timing = Timing(
            (time.perf_counter() - start) / events, 0, (time.process_time() - cpu) / events
        )
    prove("drained", counts(url)["events"], events)
    return timing


def post(_directory: Path, url: str, events: int, batch_size: int) -> Timing:
    """Post the same bodies in a loop, with the same `requests`, and read each answer."""
    row = json.dumps(EVENT, separators=(",", ":")).encode()
    bodies = [
        b'{"events":[' + b",".join([row] * min(batch_size, events - first)) + b"]}"
        for first in range(0, events, batch_size)
    ]
    ask(url, "reset")
    with requests.Session() as session:
        session.headers["Authorization"] = "ApiKey sk_bench"
        session.headers["Content-Type"] = "application/json"
        start = time.perf_counter()
        for number, body in enumerate(bodies):
            answer = session.post(
                f"{url}/api/ingestion/track/batch/",
                body,
                headers={"Idempotency-Key": str(number)},
                timeout=10,
            )
            answer.raise_for_status()
            answer.json()
        timing = Timing((time.perf_counter() - start) / events)
    prove("posted", counts(url)["events"], events)
    return timing


def track_many(directory: Path, events: int) -> tuple[float, float]:
    """Seconds an event of `track_many`, and of an `executemany` of the same rows."""
    given = [{**EVENT, "payload": {**EVENT["payload"], "n": number}} for number in range(events)]
    with ours(directory, NOWHERE, flush_interval=_FAR) as client:
        start = time.perf_counter()
        client.track_many(given)
        took = time.perf_counter() - start
    prove("track_many", stored(directory, NOWHERE), events)
    return took / events, insert_again(directory, _ROWS_A_COMMIT) / events


def import_lines(directory: Path, lines: int) -> tuple[float, float]:
    """Seconds a line of an import of JSON Lines, and of an `executemany` of what comes of it."""
    path = directory / "sales.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(lines):
            row = {"email": f"user-{number}", "event_type": "sold", "at": "2026-01-31T12:00:00Z"}
            file.write(json.dumps({**row, "amount": number / 2, "sku": "A-17"}) + "\n")
    field_map = segops_durable.FieldMap(columns={"user_id": "email", "occurred_at": "at"})
    with ours(directory, NOWHERE, flush_interval=_FAR) as client:
        start = time.perf_counter()
        client.import_events(path, field_map=field_map)
        took = time.perf_counter() - start
    prove("import", stored(directory, NOWHERE), lines)
    return took / lines, insert_again(directory, _LINES_A_COMMIT) / lines


def insert_again(directory: Path, rows_a_commit: int) -> float:
    """Seconds for an `executemany` of an outbox's rows in stdlib sqlite3."""
    with closing(sqlite3.connect(directory / "ours.db")) as file:
        rows = file.execute(f"SELECT {_COLUMNS} FROM queue_outbox").fetchall()  # noqa: S608 - constants
    with closing(sqlite3.connect(directory / "again.db", isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("PRAGMA synchronous=FULL")
        file.execute(
            "CREATE TABLE q (_id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB, timestamp FLOAT,"
            " crc INTEGER, identity TEXT, uptime REAL, boot INTEGER)"
        )
        insert = f"INSERT INTO q ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608 - constants
        start = time.perf_counter()
        for first in range(0, len(rows), rows_a_commit):
            file.execute("BEGIN IMMEDIATE")
            file.executemany(insert, rows[first : first + rows_a_commit])
            file.execute("COMMIT")
        return time.perf_counter() - start


class Written(NamedTuple):
    """Bytes that were written.

    Attributes:
        handed: To the system, by this process.
        device: Of pages that the system has to write, as they were altered.
    """

    handed: float
    device: float


def written(directory: Path, name: str, url: str, events: int) -> Written:
    """Bytes that a peer writes to its files for an event, one by one."""
    with PEERS[name].run(directory, url) as call:
        call()
        before = written_so_far()
        for _ in range(events):
            call()
        now = written_so_far()
    return Written(*((after - then) / events for after, then in zip(now, before, strict=True)))


def written_so_far() -> Written:
    """Bytes that this process has written since it was started."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    found = dict(line.split(": ") for line in lines)
    return Written(int(found["wchar"]), int(found["write_bytes"]))


def waiting(directory: Path, place: str, url: str, events: int) -> None:
    """Make an outbox with so many waiting, to be opened by others."""
    del directory
    Path(place).mkdir(exist_ok=True)
    fill(Path(place), url, repeat(EVENT, events))


def open_and_send(place: str, url: str) -> None:
    """Open an outbox and send; whoever started this kills it (a program of its own).

    It asks for a flush: by itself a client waits for some part of an interval after a start,
    so that a fleet does not come as one.
    """
    print(time.monotonic(), flush=True)
    with ours(Path(place), url) as client:
        client.flush(timeout=FLUSH_SECONDS)
