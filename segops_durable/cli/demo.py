"""The demonstration: a producer that is killed, a server that goes away, nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from segops_durable.client import SegOpsClient
from segops_durable.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVENTS = 2000
_KEY = "sk_demo"
_PACE_SECONDS = 0.002
_DRAIN_SECONDS = 15.0
_IN_FLIGHT_SECONDS = 2.0
_LOST = "lost"


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration counted.

    Attributes:
        acknowledged: Events for which `track` had returned.
        received: Different events that the server accepted.
        lost: Acknowledged events that it did not.
        sent_twice: Events that it accepted more than once.
        unacknowledged: Received events whose producer was killed before `track` returned.
    """

    acknowledged: int
    received: int
    lost: int
    sent_twice: int
    unacknowledged: int


def produce(api_url: str, queue_path: str, first: int, life: int) -> None:
    """Track events, and tell standard output of each once `track` has returned."""
    with _client(api_url, queue_path) as client:
        for number in range(first, EVENTS):
            payload = {"number": number, "life": life}
            client.track(user_id=f"user-{number % 7}", event_type="demo_event", payload=payload)
            try:
                os.write(1, b"%d\n" % number)  # one write: a kill cannot tear it
            except BrokenPipeError:  # the demonstration was interrupted
                return
            time.sleep(_PACE_SECONDS)


def run_demo() -> bool:
    """Run it and print the table; say whether nothing was lost."""
    console = Console()
    is_terminal = sys.stdout.isatty()
    columns = (TextColumn("{task.description:34}"), BarColumn(), MofNCompleteColumn())
    with (
        tempfile.TemporaryDirectory(prefix="segops-demo-") as directory,
        Sandbox() as sandbox,
        Progress(
            *columns, TimeElapsedColumn(), console=console, disable=not is_terminal
        ) as progress,
    ):
        acknowledged = _Story(sandbox, Path(directory) / "outbox.db", progress).tell()
        outcome = _compare(acknowledged, sandbox.events())
    if is_terminal:
        console.print(_table(outcome))
    else:  # one record a line, whatever the width
        for name, count in _rows(outcome).items():
            console.print(f"{name}: {count}", soft_wrap=True)
    return outcome.lost == 0


class _Story:
    """The acts of the demonstration, in order."""

    def __init__(self, sandbox: Sandbox, queue_path: Path, progress: Progress) -> None:
        self._sandbox = sandbox
        self._queue_path = queue_path
        self._progress = progress
        self._tracked = progress.add_task("tracking", total=EVENTS)
        self._received = progress.add_task("received by the server", total=EVENTS)
        self._acknowledged: list[tuple[int, int]] = []

    def tell(self) -> list[tuple[int, int]]:
        """Run all acts; return (number, life) of every acknowledged event."""
        self._say("tracking")
        self._live(1, {500: self._server_leaves, 900: self._kill})
        self._say("producer killed; tracking offline")
        cues = {
            1200: self._server_returns_failing,
            1450: self._server_slows,
            1500: self._kill_in_mid_flight,
        }
        self._live(2, cues)
        self._say("producer killed in mid-flight")
        self._live(3, {1800: self._server_recovers})
        self._drain()
        return self._acknowledged

    def _live(self, life: int, due: dict[int, Callable[[subprocess.Popen[bytes]], None]]) -> None:
        """One life of the producer: at each cue something happens."""
        first = self._acknowledged[-1][0] + 1 if self._acknowledged else 0
        # a Ctrl-C is for the demonstration, which then ends this, too
        command = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        command += "from segops_durable.cli.demo import produce; import sys; a = sys.argv[1:]; "
        command += "produce(a[0], a[1], int(a[2]), int(a[3]))"
        arguments = [self._sandbox.url, str(self._queue_path), str(first), str(life)]
        with subprocess.Popen(  # noqa: S603 - this very package
            [sys.executable, "-c", command, *arguments], stdout=subprocess.PIPE
        ) as producer:
            try:
                for number in _numbers(producer):
                    self._acknowledged.append((number, life))
                    self._show()
                    if number in due:
                        due.pop(number)(producer)
            except BaseException:
                producer.kill()  # or it would be waited for
                raise

    @staticmethod
    def _kill(producer: subprocess.Popen[bytes]) -> None:
        producer.kill()

    def _kill_in_mid_flight(self, producer: subprocess.Popen[bytes]) -> None:
        self._sandbox.wait_for_request(_IN_FLIGHT_SECONDS)
        producer.kill()

    def _server_leaves(self, _producer: subprocess.Popen[bytes]) -> None:
        self._sandbox.stop()
        self._say("server gone; tracking goes on")

    def _server_returns_failing(self, _producer: subprocess.Popen[bytes]) -> None:
        self._sandbox.faults(status=503, rate=0.5, delay=0.02)
        self._sandbox.start()
        self._say("server back, failing every other time")

    def _server_slows(self, _producer: subprocess.Popen[bytes]) -> None:
        self._sandbox.faults(delay=0.2)
        self._say("server slow")

    def _server_recovers(self, _producer: subprocess.Popen[bytes]) -> None:
        self._sandbox.faults()
        self._say("server well again")

    def _drain(self) -> None:
        self._say("draining what waits")
        deadline = time.monotonic() + _DRAIN_SECONDS
        with _client(self._sandbox.url, str(self._queue_path)) as client:
            while client.stats().pending and time.monotonic() < deadline:
                client.flush(timeout=0.2)
                self._show()
        self._say("done")
        self._show()

    def _say(self, what: str) -> None:
        self._progress.update(self._tracked, description=what)
        text = f"{len(self._acknowledged):5} tracked: {what}"
        self._progress.console.print(text, soft_wrap=True)

    def _show(self) -> None:
        self._progress.update(self._tracked, completed=len(self._acknowledged))
        if len(self._acknowledged) % 50 == 0:
            received = self._sandbox.summary()["distinct_events"]
            self._progress.update(self._received, completed=received)


def _client(api_url: str, queue_path: str) -> SegOpsClient:
    return SegOpsClient(
        api_url,
        _KEY,
        queue_path=queue_path,
        flush_interval=0.2,
        on_error=lambda _error: None,  # the outage is part of the show
    )


def _numbers(producer: subprocess.Popen[bytes]) -> Iterator[int]:
    """What the producer acknowledged, to the end of its life."""
    if producer.stdout is None:  # pragma: no cover - it was opened with a pipe
        return
    for line in producer.stdout:
        yield int(line)


def _compare(acknowledged: list[tuple[int, int]], received: list[dict[str, Any]]) -> DemoResult:
    arrived = Counter(json.dumps(row["event"], sort_keys=True) for row in received)
    events = [json.loads(text)["payload"] for text in arrived]
    known = {(event["number"], event["life"]) for event in events}
    return DemoResult(
        acknowledged=len(acknowledged),
        received=len(arrived),
        lost=len(set(acknowledged) - known),
        sent_twice=sum(1 for count in arrived.values() if count > 1),
        unacknowledged=len(known - set(acknowledged)),
    )


def _rows(outcome: DemoResult) -> dict[str, str]:
    rows = {
        "acknowledged by track()": f"{outcome.acknowledged:,}",
        "received by the server": f"{outcome.received:,}",
        _LOST: f"{outcome.lost:,}",
        "sent twice (same bytes, same key)": f"{outcome.sent_twice:,}",
    }
    if outcome.unacknowledged:
        rows["stored, but killed before track() returned"] = f"{outcome.unacknowledged:,}"
    return rows


def _table(outcome: DemoResult) -> Table:
    table = Table(title="2 kills, 1 outage", show_header=False)
    style = "bold red" if outcome.lost else "bold green"
    for name, count in _rows(outcome).items():
        table.add_row(name, count, style=style if name == _LOST else None)
    return table
