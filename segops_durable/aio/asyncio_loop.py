"""Loops of asyncio, and those that speak its protocol, as uvloop's do."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def current() -> asyncio.AbstractEventLoop:
    """The one that runs on this thread."""
    return asyncio.get_running_loop()


class AsyncioWaiter:
    """As `loops.Waiter` has it."""

    __slots__ = ("_future",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._future: asyncio.Future[Any] = loop.create_future()

    def settle(self, result: Any, error: BaseException | None) -> None:  # noqa: ANN401 - whatever was done
        """As `loops.Waiter` has it."""
        if not self._future.done():  # its task was not cancelled
            # an exception that is set would be logged if the task is cancelled before it goes on
            self._future.set_result((result, error))

    async def outcome(self) -> Any:  # noqa: ANN401 - likewise
        """As `loops.Waiter` has it."""
        result, error = await self._future
        if error is not None:
            raise error
        return result


class AsyncioLoop:
    """As `loops.Loop` has it.

    Args:
        native: The running loop.
    """

    def __init__(self, native: asyncio.AbstractEventLoop) -> None:
        self.native: object = native
        self._loop = native
        self.soon: Callable[[Callable[[], object]], object] = native.call_soon

    @property
    def is_over(self) -> bool:
        """As `loops.Loop` has it."""
        return self._loop.is_closed()

    def waiter(self) -> AsyncioWaiter:
        """As `loops.Loop` has it."""
        return AsyncioWaiter(self._loop)

    def tell(self, work: Callable[[], object]) -> None:
        """As `loops.Loop` has it."""
        with suppress(RuntimeError):  # it was closed, and its tasks with it
            self._loop.call_soon_threadsafe(work)

    async def give_way(self) -> None:
        """As `loops.Loop` has it."""
        await asyncio.sleep(0)
