"""Which loop a client is at home in: one after another, several at once, another's, none."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from segops_durable import WrongLoopError
from support.aio import at_once, track, tracking
from support.events import numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.aio import AsyncSegOpsClient
    from segops_durable.sandbox import Sandbox

    Run = Callable[..., Any]
    Make = Callable[..., AsyncSegOpsClient]


def test_one_client_serves_several_loops_one_after_another(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    client = make_async()
    for turn in range(3):
        assert run(lambda: at_once(tracking(client, [turn]))) == [None]  # noqa: B023 - run now
    assert run(lambda: client.shutdown(20)).ok
    assert numbers(sandbox) == [0, 1, 2]


def test_a_loop_that_ended_while_tasks_tracked_leaves_the_client_to_the_next(
    make_async: Make, sandbox: Sandbox
) -> None:
    client = make_async()

    async def leave() -> None:
        await client.start()
        for number in range(20):
            asyncio.ensure_future(track(client, number))  # noqa: RUF006 - it is left alone
        await asyncio.sleep(0)

    async def go_on() -> None:
        await track(client, 20)
        assert (await client.shutdown(20)).ok

    asyncio.run(leave())
    asyncio.run(go_on())
    found = numbers(sandbox)
    assert found[-1] == 20
    assert sorted(set(found)) == sorted(found)


class Elsewhere:
    """A loop that runs on a thread of its own until it is told to end."""

    def __init__(self, run: Run) -> None:
        self._run, self._is_over, self._has_begun = run, threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(1)

    def begin(self, work: Callable[[], Any]) -> None:
        async def main() -> None:
            await work()
            self._has_begun.set()
            await anyio.to_thread.run_sync(self._is_over.wait)
            await self.at_end()

        self._done = self._pool.submit(self._run, main)
        assert self._has_begun.wait(20), self._done.result(0)

    async def at_end(self) -> None:
        """What it does last."""

    def end(self) -> None:
        self._is_over.set()
        self._done.result(20)
        self._pool.shutdown()


def test_to_close_it_from_another_loop_is_an_error_that_says_so_and_harms_nobody(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    client, elsewhere = make_async(), Elsewhere(run)
    elsewhere.begin(lambda: track(client, 1))

    async def close_here() -> None:
        with pytest.raises(WrongLoopError, match="another event loop"):
            await client.shutdown()
        with pytest.raises(RuntimeError, match="where it was started"):
            await client.aclose()
        await track(client, 2)  # any loop may track

    run(close_here)

    async def close_there() -> None:
        assert (await client.shutdown(20)).ok

    elsewhere.at_end = close_there  # type: ignore[method-assign]
    elsewhere.end()
    assert numbers(sandbox) == [1, 2]


def test_once_its_loop_is_closed_the_next_one_may_close_it(run: Run, make_async: Make) -> None:
    client, elsewhere = make_async(), Elsewhere(run)
    elsewhere.begin(client.start)
    elsewhere.end()
    assert run(client.shutdown).ok


def test_several_loops_at_once_track_with_one_client(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    client = make_async()

    def work(thread: int) -> list[Any]:
        found: list[Any] = run(
            lambda: at_once(tracking(client, range(100 * thread, 100 * thread + 100)))
        )
        return found

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [[None] * 100] * 4
    assert run(lambda: client.shutdown(20)).ok
    assert sorted(numbers(sandbox)) == list(range(400))


def test_where_there_is_no_loop_that_is_said(make_async: Make) -> None:
    with pytest.raises(WrongLoopError, match="no event loop"):
        make_async().start().send(None)
