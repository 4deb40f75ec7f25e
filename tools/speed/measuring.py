"""Has the contenders take turns, round by round, and fills in the rows."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from speed import heartbeat, jobs, loads
from speed.isolation import isolated
from speed.opening import first_request
from speed.peers import NOWHERE, PEERS
from speed.rows import claims
from speed.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LINK_SECONDS, _SLOW_LINK_SECONDS = 0.05, 0.1
_SLOW_SYNC = {"SLOWSYNC_MS": "10"}
_SETTLE_SECONDS = 3.0
_HURRY = 120
"""How many times as fast the clock goes by which an hour of an outage is watched."""
_SLOW_RATE = 10
_NEARLY = 0.95


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        rounds: In which the contenders take turns.
        events: Of each contender in a round.
        lines: Of the file to import.
        waiting: In the outbox that is opened.
        offline: Seconds that it is watched while it is offline.
        steady: Seconds of a steady load.
    """

    rounds: int = 15
    events: int = 1000
    lines: int = 200_000
    waiting: int = 1_000_000
    offline: float = 30
    steady: float = 8


class Bench:
    """Measures all rows, and each contender beside them.

    Args:
        size: How much is done.
        place: The directory where the outboxes go.
        has_slow_syncs: Whether they can be had.
        say: Called with what is measured next.
    """

    def __init__(
        self, size: Size, place: str, say: Callable[[str], None], *, has_slow_syncs: bool
    ) -> None:
        self._size = size
        self._place = place
        self._say = say
        self._has_slow_syncs = has_slow_syncs
        self._server = Server()
        self._link = Server(_LINK_SECONDS)
        self._slow_link = Server(_SLOW_LINK_SECONDS)
        self.rows = claims()
        self.contenders: dict[str, list[jobs.Timing]] = {}

    def close(self) -> None:
        """End the servers."""
        for each in (self._server, self._link, self._slow_link):
            each.__exit__(None, None, None)

    def run(self) -> None:
        """Measure everything."""
        with ThreadPoolExecutor(3) as pool:  # what only waits goes on beside the others
            beside = [pool.submit(self._slow_load)]
            if sys.platform == "linux":
                beside += [pool.submit(self._offline), pool.submit(self._offline_for_an_hour)]
            for group in (
                self._one_by_one,
                self._threads,
                self._link_rows,
                self._drains,
                self._slow_drains,
                self._bulk,
                self._whole,
                self._imports,
                self._open,
            ):
                group()
            for each in beside:
                each.result()

    def _rounds(self, what: str, most: int = 1000) -> Iterator[int]:
        count = min(self._size.rounds, most)
        for number in range(count):
            self._say(f"{what}, round {number + 1} of {count}")
            yield number

    def _time(self, name: str, events: int, threads: int = 1) -> jobs.Timing:
        return self._append(name, self._server, events, threads)

    def _append(
        self,
        name: str,
        server: Server,
        events: int,
        threads: int = 1,
        *,
        label: str = "",
        env: dict[str, str] | None = None,
    ) -> jobs.Timing:
        timing: jobs.Timing = isolated(
            jobs.append, name, server.url, events, threads, place=self._place, env=env
        )
        called = name if threads == 1 else f"{name}, {threads} threads"
        self.contenders.setdefault(called + label, []).append(timing)
        return timing

    def _add(self, name: str, figure: float) -> None:
        self.rows[name].rounds.append(figure)

    def _one_by_one(self) -> None:
        events = self._size.events
        others = [
            name
            for name, peer in PEERS.items()
            if peer.is_here
            and name not in {"bare commit", "track", "track, normal, live", "official segops"}
        ]
        for number in self._rounds("one by one"):
            bare, ours = self._time("bare commit", events), self._time("track", events)
            self._add("track", ours.each / bare.each)
            normal = self._time("track, normal, live", events)
            if PEERS["official segops"].is_here:
                self._add("live", self._time("official segops", events).each / normal.each)
            if number < 5:  # noqa: PLR2004 - they are no row, and need no more
                for name in others:
                    self._time(name, events)
            if sys.platform == "linux":
                self._bytes(events)

    def _bytes(self, events: int) -> None:
        ours, bare = (
            isolated(jobs.written, name, NOWHERE, events, place=self._place)
            for name in ("track", "bare commit")
        )
        self._add("bytes", ours.handed / 1000)
        devices = (
            f"pages of {ours.device / 1000:.1f} KB, and a bare commit {bare.device / 1000:.1f}"
        )
        self.rows["bytes"].note = f"it was 9.2 KB; {devices}"

    def _job(self, job: Callable[..., float], *arguments: object) -> float:
        return float(isolated(job, *arguments, place=self._place))

    def _threads(self) -> None:
        events = self._size.events
        for _ in self._rounds("16 threads"):
            put = self._time("persist-queue put", events, 16)
            self._add("put", put.each / self._time("track", events * 4, 16).each)
        if not self._has_slow_syncs:
            self.rows["put-slow"].note = "needs Linux and a C compiler"
            return
        few = max(32, events // 5)
        for _ in self._rounds("16 threads, slow syncs", 7):
            server, label = self._server, ", slow syncs"
            put = self._append("persist-queue put", server, few, 16, label=label, env=_SLOW_SYNC)
            ours = self._append("track", server, few * 4, 16, label=label, env=_SLOW_SYNC)
            self._add("put-slow", put.each / ours.each)

    def _link_rows(self) -> None:
        if not PEERS["official segops"].is_here:
            self.rows["link"].note = "needs the official client"
            return
        events = max(100, self._size.events // 5)
        label = ", 50 ms link"
        for _ in self._rounds("50 ms link"):
            theirs = self._append("official segops", self._link, events, label=label)
            ours = self._append("track, live", self._link, events * 5, label=label)
            self._add("link", theirs.each / ours.each)
            self._add("link-p99", theirs.p99 / ours.p99)

    def _drains(self) -> None:
        has_more = "max_in_flight" in jobs.options()
        for batch_size, events, more in ((20, 8, 4), (500, 40, 2)):
            name, count = f"drain-{batch_size}", self._size.events * events
            for _ in self._rounds(f"drain at {batch_size}"):
                loop = self._each(jobs.post, count, batch_size)
                self._add(name, loop / self._each(jobs.drain, count, batch_size))
                if has_more:
                    several = self._each(jobs.drain, count, batch_size, more)
                    self._add(f"{name}-{more}", loop / several)

    def _each(self, job: Callable[..., jobs.Timing], *arguments: int) -> float:
        timing: jobs.Timing = isolated(job, self._server.url, *arguments, place=self._place)
        return timing.each

    def _slow_drains(self) -> None:
        events = max(2, self._size.events // 20) * 20  # full batches only
        has_more = "max_in_flight" in jobs.options()
        for _ in self._rounds("drain over a 100 ms link", 5):
            url = self._slow_link.url
            one = isolated(jobs.drain, url, events, 20, place=self._place)
            self._add("drain-link", _SLOW_LINK_SECONDS / 20 / one.each)
            if has_more:
                eight = isolated(jobs.drain, url, events * 8, 20, 8, place=self._place)
                self._add("drain-link-8", _SLOW_LINK_SECONDS / 20 / 8 / eight.each)

    def _bulk(self) -> None:
        for _ in self._rounds("track_many and executemany"):
            ours, bare = isolated(jobs.track_many, self._size.events * 20, place=self._place)
            self._add("many", bare / ours)
            self._add("many-rate", 1 / ours / 1000)
        for _ in self._rounds("import", 3):
            ours, bare = isolated(jobs.import_lines, self._size.lines, place=self._place)
            self._add("import", ours / bare)

    def _whole(self) -> None:
        events = self._size.events * 2
        for _ in self._rounds("CPU of an event", 7):
            bare = self._time("bare commit", events)
            ours: jobs.Timing = isolated(jobs.deliver, self._server.url, events, place=self._place)
            if PEERS["official segops"].is_here:
                theirs = self._time("official segops", events)
                self._add("cpu", ours.cpu / (theirs.cpu + bare.cpu))
        for rate, name, threads in ((1000, "requests", 1), (5000, "requests-5000", 4)):
            for _ in self._rounds(f"{rate:,} events a second", 2):
                load = self._load(name, self._server, rate, threads)
                self._add(name, load.requests / load.would_do)

        for _ in self._rounds("heartbeat of an event loop", 7):
            seconds = self._size.steady / 2
            without = self._job(heartbeat.longest_gaps, "nothing", 1000, seconds)
            with_us = self._job(heartbeat.longest_gaps, "aio", 1000, seconds)
            self._add("loop-gap", (with_us - without) * 1000)

    def _load(self, name: str, server: Server, rate: int, threads: int = 1) -> loads.Load:
        seconds = self._size.steady if rate > _SLOW_RATE else self._size.offline
        load: loads.Load = isolated(
            loads.steady, server.url, rate, seconds, threads, place=self._place
        )
        if load.rate < rate * _NEARLY:
            self.rows[name].note = f"{load.rate:,.0f} a second is what this machine reached"
        return load

    def _slow_load(self) -> None:
        with Server() as server:
            load = self._load("requests-10", server, _SLOW_RATE)
        needless = max(0.0, load.requests - load.intervals)
        self._add("requests-10", needless / load.would_do)

    def _offline(self) -> None:
        seconds = self._size.offline
        written = self._job(loads.written_offline, _SETTLE_SECONDS, seconds)
        self._add("offline", written / seconds)

    def _offline_for_an_hour(self) -> None:
        seconds = self._size.offline * _HURRY
        written = self._job(loads.written_offline, _SETTLE_SECONDS, seconds, _HURRY)
        self._add("offline-hour", written / seconds * 3.6)

    def _imports(self) -> None:
        code = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"

        def took(statement: str) -> float:
            command = [sys.executable, "-c", code.format(statement)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            return float(done.stdout)

        for _ in self._rounds("import time"):
            ours = took("from segops_durable import SegOpsClient")
            self._add("import-time", ours / took("import requests"))

    def _open(self) -> None:
        if sys.platform != "linux":
            return
        with tempfile.TemporaryDirectory(prefix="segops-bench-", dir=self._place) as home:
            full, empty = Path(home, "full"), Path(home, "empty")
            for place, events in ((full, self._size.waiting), (empty, 1)):
                self._say(f"an outbox with {events:,} waiting")
                isolated(jobs.waiting, str(place), self._server.url, events)
            self.rows["open"].note = f"{self._size.waiting:,} waiting"
            for _ in self._rounds("open and first batch", 7):
                none, of_none = first_request(self._server, empty)
                many, of_many = first_request(self._server, full)
                self._add("open", (many - none) * 1000)
                self._add("open-rss", (of_many - of_none) / 1e6)
