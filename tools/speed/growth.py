"""What an event costs as things grow: what waits, the users, the processes, the payloads."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import segops_durable
from speed.isolation import isolated
from speed.jobs import fill, prove
from speed.peers import EVENT, NOWHERE, ours
from speed.server import Server, ask, counts

if TYPE_CHECKING:
    from collections.abc import Callable

_FLUSH_SECONDS = 600.0
_FAR = 3600.0


@dataclass
class Curve:
    """Microseconds an event, by how much there is.

    Attributes:
        of_what: What grows.
        at: How much of it.
        figures: By what is done, one for each of `at`.
    """

    of_what: str
    at: list[int]
    figures: dict[str, list[float]] = field(default_factory=dict)


class Growth:
    """Measures the curves.

    Args:
        place: Where the outboxes go. Defaults to where temporary files go.
        say: Called with what is measured next.
        is_quick: Leave the largest outbox out.
        is_tiny: Do as little as shows that it works.
    """

    def __init__(
        self,
        place: str | None,
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
        curve = Curve(of_what, [size for size in at if size <= self._most] or at[:1])
        for size in curve.at:
            self._say(f"growth: {size:,} {of_what}")
            found = [
                isolated(job, server.url, self._events, size, place=self._place)
                for _ in range(self._repeats)
            ]
            for name in found[0]:
                median = statistics.median(each[name] for each in found)
                curve.figures.setdefault(name, []).append(median * 1e6)
        return curve

    def _by_waiting(self, server: Server) -> Curve:
        """One outbox that grows; what is sent of it is tracked again."""
        curve = Curve("events waiting", self._waiting, {"track": [], "deliver": []})
        before = 0
        with tempfile.TemporaryDirectory(prefix="segops-bench-", dir=self._place) as home:
            for size in self._waiting:
                self._say(f"growth: {size:,} events waiting")
                isolated(fill_more, home, server.url, size - before)
                before = size
                found = [
                    isolated(among_waiting, home, server.url, self._events)
                    for _ in range(self._repeats)
                ]
                for name, figures in curve.figures.items():
                    figures.append(statistics.median(each[name] for each in found) * 1e6)
        return curve


def fill_more(_directory: Path, home: str, url: str, events: int) -> None:
    """Have more events wait in an outbox."""
    fill(Path(home), url, events)


def among_waiting(_directory: Path, home: str, url: str, events: int) -> dict[str, float]:
    """Track some events among those that wait, and deliver as many."""
    ask(url, "shut")
    with ours(Path(home), url, flush_interval=_FAR, max_retries=0) as client:
        start = time.perf_counter()
        for _ in range(events):
            client.track(EVENT)
        tracked = (time.perf_counter() - start) / events
    ask(url, "open")
    ask(url, "reset")
    with ours(Path(home), url) as client:
        start = time.perf_counter()
        while counts(url)["events"] < events:
            client.flush(timeout=0.05)
        delivered = (time.perf_counter() - start) / counts(url)["events"]
    return {"track": tracked, "deliver": delivered}


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
        client.flush(timeout=_FLUSH_SECONDS)
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
    """Track in several processes into one outbox."""
    del url
    import os  # noqa: PLC0415 - only here

    start = time.perf_counter()
    children = []
    for _ in range(processes):
        child = os.fork()
        if not child:
            with ours(directory, NOWHERE, flush_interval=_FAR, max_retries=0) as client:
                for _ in range(events // processes):
                    client.track(EVENT)
            os._exit(0)
        children.append(child)
    for each in children:
        os.waitpid(each, 0)
    took = time.perf_counter() - start
    with ours(directory, NOWHERE, flush_interval=_FAR) as client:
        stored = client.stats().pending
    prove(f"of {processes} processes", stored, events // processes * processes)
    return {"track": took / stored}


def by_payload(directory: Path, url: str, events: int, size: int) -> dict[str, float]:
    """Track large events, and deliver them."""
    event = {**EVENT, "payload": {"text": "x" * (size - 12)}}
    few = max(20, events * 200 // (size + 200) // 4 * 4) if size > 10_000 else events  # noqa: PLR2004 - 64 KB
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
        client.flush(timeout=_FLUSH_SECONDS)
        delivered = (time.perf_counter() - start) / few
    prove(f"of {size} bytes", counts(url)["events"], few)
    return {"track": tracked, "deliver": delivered}
