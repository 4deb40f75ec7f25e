"""What an event costs as things grow: what waits, the users, the processes, the payloads."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from itertools import repeat, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import segops_durable
from speed.isolation import isolated
from speed.jobs import FLUSH_SECONDS, fill, prove
from speed.peers import EVENT, NOWHERE, ours
from speed.server import Server, ask, counts

if TYPE_CHECKING:
    from collections.abc import Callable

_FAR = 3600.0
_FILL_SECONDS = 900.0
_ROOM = 500
"""Bytes of the disk for an event that waits, with what the log has of it."""
_LOOKS = 20


@dataclass
class Curve:
    """Microseconds an event, or a call, by how much there is.

    Attributes:
        of_what: What grows.
        at: How much of it.
        figures: By what is done, one for each of `at`.
    """

    of_what: str
    at: list[int]
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, size: int, rounds: list[dict[str, float]]) -> None:
        """Add what was found with so much of it: seconds by what is done, of each round."""
        self.at.append(size)
        for name in rounds[0]:
            median = statistics.median(each[name] for each in rounds)
            self.figures.setdefault(name, []).append(median * 1e6)


class Growth:
    """Measures the curves.

    Args:
        place: The directory where the outboxes go.
        say: Called with what is measured next.
        is_quick: Leave the largest outbox out: to fill it takes some minutes.
        is_tiny: Do as little as shows that it works.
    """

    def __init__(
        self,
        place: str,
        say: Callable[[str], None],
        *,
        is_quick: bool = False,
        is_tiny: bool = False,
    ) -> None:
        self._place = place
        self._say = say
        self._events = 40 if is_tiny else 500 if is_quick else 2000
        self._repeats = 1 if is_tiny else 3 if is_quick else 5
        waiting = [1000, 100_000, 1_000_000, 10_000_000]
        self._waiting = [100, 400] if is_tiny else waiting[:3] if is_quick else waiting
        self._most = 10 if is_tiny else 100_000

    def run(self) -> list[Curve]:
        """Measure them all."""
        with Server() as server:
            return [
                self._by_waiting(server),
                self._curve("identities", [1, 10, 1000], by_identities, server),
                self._curve("processes", [1, 4, 16], by_processes, server),
                self._curve("bytes of payload", [200, 2000, 64_000], by_payload, server),
            ]

    def _curve(
        self, of_what: str, at: list[int], job: Callable[..., dict[str, float]], server: Server
    ) -> Curve:
        curve = Curve(of_what, [])
        for size in [size for size in at if size <= self._most] or at[:1]:
            self._say(f"growth: {size:,} {of_what}")
            found = [
                isolated(job, server.url, self._events, size, place=self._place)
                for _ in range(self._repeats)
            ]
            curve.add(size, found)
        return curve

    def _by_waiting(self, server: Server) -> Curve:
        """One outbox that grows; what is sent of it is tracked again."""
        curve = Curve("events waiting", [])
        with tempfile.TemporaryDirectory(prefix="segops-bench-", dir=self._place) as home:
            for size in self._waiting:
                missing = size - (curve.at[-1] if curve.at else 0)
                if shutil.disk_usage(home).free < missing * _ROOM:
                    self._say(f"growth: no room for {size:,} events on this disk")
                    break
                self._say(f"growth: {size:,} events waiting")
                waiting = isolated(fill_up, home, server.url, size, place=self._place)
                found = [
                    isolated(among_waiting, home, server.url, self._events, place=self._place)
                    for _ in range(self._repeats)
                ]
                curve.add(waiting, found)
                if waiting < size:
                    self._say(f"growth: only {waiting:,} within {_FILL_SECONDS:.0f} s")
                    break
        return curve


def fill_up(_directory: Path, home: str, url: str, size: int) -> int:
    """Have so many events wait in an outbox; return how many do, as time is bounded."""
    end = time.monotonic() + _FILL_SECONDS

    def pending() -> int:
        with ours(Path(home), url, flush_interval=_FAR, max_retries=0) as client:
            return client.stats().pending

    ask(url, "shut")
    missing = repeat(EVENT, size - pending())
    fill(Path(home), url, takewhile(lambda _: time.monotonic() < end, missing))
    return pending()


def among_waiting(_directory: Path, home: str, url: str, events: int) -> dict[str, float]:
    """Open an outbox, track some events among those that wait, and deliver as many."""
    ask(url, "shut")
    start = time.perf_counter()
    with ours(Path(home), url, flush_interval=_FAR, max_retries=0) as client:
        opened = time.perf_counter() - start
        start = time.perf_counter()
        for _ in range(events):
            client.track(EVENT)
        tracked = (time.perf_counter() - start) / events
        start = time.perf_counter()
        for _ in range(_LOOKS):
            client.stats()
        looked = (time.perf_counter() - start) / _LOOKS
    ask(url, "open")
    ask(url, "reset")
    with ours(Path(home), url) as client:
        start = time.perf_counter()
        while counts(url)["events"] < events:
            client.flush(timeout=0.05)
        delivered = (time.perf_counter() - start) / counts(url)["events"]
    return {"track": tracked, "deliver": delivered, "stats()": looked, "open": opened}


def by_identities(directory: Path, url: str, events: int, users: int) -> dict[str, float]:
    """Track for some users under a public key, in turns, and deliver."""
    current = ["user-0"]

    def context(user_id: str = "") -> segops_durable.UserContext:
        return segops_durable.UserContext(user_id or current[0], None, "0" * 64, int(time.time()))

    ask(url, "shut")
    with _public(directory, url, context, flush_interval=_FAR, max_retries=0) as client:
        start = time.perf_counter()
        for number in range(events):
            current[0] = f"user-{number % users}"
            client.track(user_id=current[0], event_type="page_viewed", payload=EVENT["payload"])
        tracked = (time.perf_counter() - start) / events
        client.shutdown(0)
    ask(url, "open")
    ask(url, "reset")
    with _public(directory, url, context) as client:
        start = time.perf_counter()
        client.flush(timeout=FLUSH_SECONDS)
        delivered = (time.perf_counter() - start) / events
    prove(f"of {users} users", counts(url)["events"], events)
    return {"track": tracked, "deliver": delivered}


def _public(
    directory: Path,
    url: str,
    context: Callable[..., segops_durable.UserContext],
    **options: Any,  # noqa: ANN401 - any of the client's
) -> segops_durable.SegOpsClient:
    return segops_durable.SegOpsClient(
        url,
        "pk_bench",
        queue_path=directory / "ours.db",
        get_user=context,
        user_context_for=context,
        on_error=lambda _error: None,
        **options,
    )


def by_processes(directory: Path, url: str, events: int, processes: int) -> dict[str, float]:
    """Track in several processes into one outbox, from when all of them have opened it."""
    del url
    each = events // processes
    all_are_there = multiprocessing.get_context("fork").Barrier(processes + 1)
    children = []
    for _ in range(processes):
        child = os.fork()
        if not child:
            with ours(directory, NOWHERE, flush_interval=_FAR, max_retries=0) as client:
                all_are_there.wait()
                for _ in range(each):
                    client.track(EVENT)
                all_are_there.wait()
            os._exit(0)
        children.append(child)
    all_are_there.wait(FLUSH_SECONDS)
    start = time.perf_counter()
    all_are_there.wait(FLUSH_SECONDS)
    took = time.perf_counter() - start
    for child in children:
        os.waitpid(child, 0)
    with ours(directory, NOWHERE, flush_interval=_FAR) as client:
        stored = client.stats().pending
    prove(f"of {processes} processes", stored, each * processes)
    return {"track": took / stored}


def by_payload(directory: Path, url: str, events: int, size: int) -> dict[str, float]:
    """Track large events, and deliver them."""
    event = {**EVENT, "payload": {"text": "x" * (size - 12)}}
    few = max(20, events // 10) if size > 10_000 else events  # noqa: PLR2004 - 64 KB
    ask(url, "shut")
    with ours(directory, url, flush_interval=_FAR, max_retries=0) as client:
        start = time.perf_counter()
        for _ in range(few):
            client.track(event)
        tracked = (time.perf_counter() - start) / few
    ask(url, "open")
    ask(url, "reset")
    with ours(directory, url) as client:
        start = time.perf_counter()
        client.flush(timeout=FLUSH_SECONDS)
        delivered = (time.perf_counter() - start) / few
    prove(f"of {size} bytes", counts(url)["events"], few)
    return {"track": tracked, "deliver": delivered}
