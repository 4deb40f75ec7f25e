"""Events of asynchronous clients, and tasks that track them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from segops_durable import SegOpsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from segops_durable.aio import AsyncSegOpsClient


async def track(client: AsyncSegOpsClient, number: int) -> None:
    await client.track(user_id="u-1", event_type="page_viewed", payload={"n": number})


async def at_once(calls: Sequence[Callable[[], Awaitable[object]]]) -> list[SegOpsError | None]:
    """Make calls in a task each, all at once; return the error of each, or None."""
    errors: list[SegOpsError | None] = [None] * len(calls)

    async def call(number: int) -> None:
        try:
            await calls[number]()
        except SegOpsError as error:
            errors[number] = error

    async with anyio.create_task_group() as tasks:
        for number in range(len(calls)):
            tasks.start_soon(call, number)
    return errors


def tracking(client: AsyncSegOpsClient, numbers: Sequence[int]) -> list[Callable[[], Any]]:
    """Calls that track an event each."""
    return [lambda number=number: track(client, number) for number in numbers]  # type: ignore[misc]  # bound now


async def wait_for(happened: Callable[[], object]) -> None:
    """Wait for what another thread does to become visible, 20 seconds at most."""
    with anyio.fail_after(20):
        while not happened():  # noqa: ASYNC110 - another thread, or the server, does it
            await anyio.sleep(0.01)
