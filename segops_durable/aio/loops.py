"""What is asked of an event loop, of whichever kind; and which one the calling task is in."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

from segops_durable.errors import WrongLoopError
from segops_durable.system.loops import is_asyncio, is_trio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Waiter(Protocol):
    """Where one task waits for what another thread does. Cancelled, it stops waiting only."""

    def settle(self, result: Any, error: BaseException | None) -> None:  # noqa: ANN401 - whatever was done
        """Have the task go on, on its loop's own thread; nothing, if it waits no more."""

    async def outcome(self) -> Any:  # noqa: ANN401 - likewise
        """Wait, and return the result, or raise the error."""


class Loop(Protocol):
    """An event loop.

    Attributes:
        native: What it is to asyncio or trio.
    """

    native: object

    @property
    def is_over(self) -> bool:
        """Whether it will never run again."""

    def waiter(self) -> Waiter:
        """Make one for the calling task."""

    def soon(self, work: Callable[[], object]) -> None:
        """Do something, on its own thread, once the tasks that are ready have had their turn."""

    def tell(self, work: Callable[[], object]) -> None:
        """Do something on its own thread; from any other. One that is over hears nothing."""

    async def give_way(self) -> None:
        """Let the other tasks have their turn."""


Outcome = tuple[Loop, Waiter, Any, "BaseException | None"]
"""For whom, and the result or the error."""

_HERE = threading.local()


def current_loop() -> Loop:
    """The loop that the calling task is in.

    Raises:
        WrongLoopError: There is none.
    """
    known: Loop | None = getattr(_HERE, "loop", None)
    if is_trio():
        from segops_durable.aio import trio_loop  # noqa: PLC0415 - trio is loaded, as it runs

        token = trio_loop.current()
        if known is not None and known.native is token:
            return known
        _HERE.loop = trio_loop.TrioLoop(token)
    elif is_asyncio():
        from segops_durable.aio import asyncio_loop  # noqa: PLC0415 - likewise

        running = asyncio_loop.current()
        if known is not None and known.native is running:
            return known
        _HERE.loop = asyncio_loop.AsyncioLoop(running)
    else:
        raise WrongLoopError(
            "an AsyncSegOpsClient is used where no event loop of asyncio or trio runs",
            hint="Elsewhere there is SegOpsClient",
        )
    here: Loop = _HERE.loop
    return here


def tell_all(outcomes: Sequence[Outcome]) -> None:
    """Have those who wait go on; each loop is told of all of its own at once."""
    of_loops: dict[Loop, list[Outcome]] = {}
    for each in outcomes:
        of_loops.setdefault(each[0], []).append(each)
    for loop, its in of_loops.items():
        loop.tell(lambda its=its: _settle(its))  # type: ignore[misc]  # bound now


def _settle(outcomes: Sequence[Outcome]) -> None:
    for _, waiter, result, error in outcomes:
        waiter.settle(result, error)
