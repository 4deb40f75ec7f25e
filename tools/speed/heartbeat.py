"""How long an event loop stands still while events are tracked in it.

A task wakes every millisecond and notes by how much it came too late; the longest delay of each
tenth of a second counts, and of those the 99th percentile. Meanwhile so many tasks a second track
an event, one way or another, and SegOps cannot be reached.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from segops_durable.aio import AsyncSegOpsClient
from speed.jobs import prove
from speed.peers import EVENT, NOWHERE, ours, stored

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

_BEAT = 0.001
_WINDOW = 0.1
_SETTLE_SECONDS = 0.5

WAYS = ("nothing", "aio", "to_thread", "in the loop")
"""What the tasks do: nothing; track with the asynchronous client; or with the other one, by way of
`asyncio.to_thread`, or right there."""


def longest_gaps(directory: Path, way: str, rate: int, seconds: float) -> float:
    """The 99th percentile of the longest delay of each tenth of a second, in seconds.

    Args:
        directory: Where the outbox goes.
        way: One of `WAYS`.
        rate: Tasks a second.
        seconds: For so long.
    """
    gaps, tracked = _measure(directory, way, rate, seconds)
    if way != "nothing":
        prove(way, stored(directory, NOWHERE), tracked)
    return sorted(gaps)[int(len(gaps) * 0.99)]


def _measure(directory: Path, way: str, rate: int, seconds: float) -> tuple[list[float], int]:
    if way == "nothing":
        return asyncio.run(_load(lambda: asyncio.sleep(0), rate, seconds))
    if way == "aio":
        return asyncio.run(_with_aio(directory, rate, seconds))
    with ours(directory, NOWHERE) as client:

        async def track() -> None:
            client.track(EVENT)

        def track_elsewhere() -> Awaitable[object]:
            return asyncio.to_thread(client.track, EVENT)

        call = track_elsewhere if way == "to_thread" else track
        return asyncio.run(_load(call, rate, seconds))


async def _with_aio(directory: Path, rate: int, seconds: float) -> tuple[list[float], int]:
    async with AsyncSegOpsClient(
        NOWHERE,
        "sk_bench",
        queue_path=directory / "ours.db",
        shutdown_timeout=0,
        on_error=lambda _error: None,
    ) as client:
        return await _load(lambda: client.track(EVENT), rate, seconds)


async def _load(
    call: Callable[[], Awaitable[object]], rate: int, seconds: float
) -> tuple[list[float], int]:
    """Have tasks do it, and watch the loop once that has settled; also how many there were."""
    gaps: list[float] = []
    tasks: list[asyncio.Future[object]] = []
    begin = time.perf_counter()
    end = begin + _SETTLE_SECONDS + seconds

    async def beat() -> None:
        window, longest = begin + _SETTLE_SECONDS + _WINDOW, 0.0
        while (before := time.perf_counter()) < end:
            await asyncio.sleep(_BEAT)
            now = time.perf_counter()
            longest = max(longest, now - before - _BEAT)
            if now >= window:
                gaps.append(longest)
                window, longest = now + _WINDOW, 0.0
        gaps.append(longest)

    watch = asyncio.ensure_future(beat())
    while (now := time.perf_counter()) < end:
        due = int((now - begin) * rate) - len(tasks)
        tasks += [asyncio.ensure_future(call()) for _ in range(due)]
        await asyncio.sleep(_BEAT)
    await asyncio.gather(watch, *tasks)
    return gaps, len(tasks)
