"""What is watched for a while: a steady load, and an outage in which nothing is tracked."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

from segops_durable.client import client as client_module
from segops_durable.system.clock import Clock
from speed.jobs import FLUSH_SECONDS, prove, written_so_far
from speed.peers import EVENT, NOWHERE, ours
from speed.server import ask, counts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.system.bell import Bell

BATCH, INTERVAL = 20, 5.0
"""As the client has them unless it is told otherwise."""


class Load(NamedTuple):
    """What came of a steady load.

    Attributes:
        requests: How many there were.
        would_do: How many would do: events by `batch_size`.
        intervals: In which there may be one more each, as an event waits no longer than one.
        rate: Events a second that were reached.
    """

    requests: float
    would_do: float
    intervals: int
    rate: float


def steady(directory: Path, url: str, rate: int, seconds: float, threads: int = 1) -> Load:
    """Track so many events a second, from some threads."""
    ask(url, "reset")
    each = max(1, int(rate * seconds / threads))
    never = threading.Event()
    with ours(directory, url) as client:
        start = time.perf_counter()

        def work() -> None:
            for number in range(each):
                ahead = start + number * threads / rate - time.perf_counter()
                if ahead > 0:
                    never.wait(ahead)
                client.track(EVENT)

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        took = time.perf_counter() - start
        client.flush(timeout=FLUSH_SECONDS)
    found, events = counts(url), each * threads
    prove("under a steady load", found["events"], events)
    return Load(found["requests"], events / BATCH, int(took / INTERVAL) + 1, events / took)


class HurriedClock(Clock):
    """A clock by which a client's waits are over sooner.

    Args:
        factor: How many times as fast it goes.
    """

    def __init__(self, factor: float) -> None:
        self._factor = factor

    def monotonic(self) -> float:
        """Seconds that only ever grow, and faster than they do."""
        return super().monotonic() * self._factor

    def sleep(self, stop: threading.Event, seconds: float) -> bool:
        """Wait for a part of it."""
        return super().sleep(stop, seconds / self._factor)

    def wait_for(self, bell: Bell, is_met: Callable[[], bool], seconds: float) -> bool:
        """Wait for a part of it."""
        return super().wait_for(bell, is_met, seconds / self._factor)


def written_offline(directory: Path, settle: float, seconds: float, factor: float = 1) -> float:
    """Bytes that are written while 1,000 events wait and nobody is there.

    Args:
        directory: Where the outbox goes.
        settle: Seconds before that.
        seconds: For which it is watched.
        factor: How many times as fast the client's clock goes; both are by that. Defaults to 1.
    """
    hurried = patch.object(client_module, "Clock", lambda: HurriedClock(factor))
    with hurried, ours(directory, NOWHERE) as client:
        client.track_many([EVENT] * 1000)
        never = threading.Event()
        never.wait(settle / factor)
        before = written_so_far().handed
        never.wait(seconds / factor)
        return written_so_far().handed - before
