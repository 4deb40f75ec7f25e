"""What the calls to an asynchronous client have in common."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from segops_durable.aio.loops import current_loop
from segops_durable.aio.own_thread import on_own_thread
from segops_durable.aio.writer import closed_error
from segops_durable.errors import WrongLoopError

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.aio.inner import InnerClient
    from segops_durable.aio.loops import Loop
    from segops_durable.aio.writer import Writers
    from segops_durable.client import Options

_T = TypeVar("_T")


class Opened:
    """A client's parts; that it is open, and in which loop it is at home."""

    _options: Options
    _writers: Writers
    _is_closed: bool
    _home: tuple[int, Loop] | None

    async def _open(self) -> tuple[Loop, InnerClient]:
        """The calling task's loop, and the client within; it is opened if it is not yet."""
        if self._is_closed:
            raise closed_error()
        loop = current_loop()
        if not self._is_home(loop):
            self._settle_in(loop)
        return loop, await self._writers.here().open(loop)

    async def _run(self, work: Callable[[InnerClient], _T]) -> _T:
        """Have the client within do what may take its time."""
        loop, inner = await self._open()
        return await on_own_thread(loop, "segops-call", lambda: work(inner))

    @property
    def _inner(self) -> InnerClient | None:
        """The client within; None before it is opened."""
        return self._writers.inner

    def _is_home(self, loop: Loop) -> bool:
        return self._home is not None and self._home[1].native is loop.native

    def _settle_in(self, loop: Loop) -> None:
        """Be at home in the first loop, and in the next one when that is over."""
        home = self._home
        if home is None or home[0] != os.getpid() or home[1].is_over:
            self._home = (os.getpid(), loop)

    def _check_home(self, loop: Loop) -> None:
        self._settle_in(loop)
        if not self._is_home(loop):
            raise WrongLoopError(
                "the client is at home in another event loop, which is not closed",
                hint="Shut it down where it was started; any loop may track",
            )
