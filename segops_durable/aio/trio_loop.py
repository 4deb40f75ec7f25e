"""Loops of trio; loaded only where one runs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from collections.abc import Callable


def current() -> trio.lowlevel.TrioToken:
    """That of the run on this thread."""
    return trio.lowlevel.current_trio_token()


class TrioWaiter:
    """As `loops.Waiter` has it."""

    __slots__ = ("_error", "_event", "_result")

    def __init__(self) -> None:
        self._event = trio.Event()
        self._result: Any = None
        self._error: BaseException | None = None

    def settle(self, result: Any, error: BaseException | None) -> None:  # noqa: ANN401 - whatever was done
        """As `loops.Waiter` has it."""
        self._result, self._error = result, error
        self._event.set()

    async def outcome(self) -> Any:  # noqa: ANN401 - likewise
        """As `loops.Waiter` has it."""
        await self._event.wait()
        if self._error is not None:
            raise self._error
        return self._result


class TrioLoop:
    """As `loops.Loop` has it.

    Args:
        native: The token of the run.
    """

    def __init__(self, native: trio.lowlevel.TrioToken) -> None:
        self.native: object = native
        self._token = native
        self.waiter: Callable[[], TrioWaiter] = TrioWaiter

    @property
    def is_over(self) -> bool:
        """As `loops.Loop` has it."""
        try:
            self._token.run_sync_soon(_do_nothing)
        except trio.RunFinishedError:
            return True
        return False

    def soon(self, work: Callable[[], object]) -> None:
        """As `loops.Loop` has it."""
        self._token.run_sync_soon(work)

    def tell(self, work: Callable[[], object]) -> None:
        """As `loops.Loop` has it."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(work)

    async def give_way(self) -> None:
        """As `loops.Loop` has it."""
        await trio.lowlevel.checkpoint()


def _do_nothing() -> None:
    pass
