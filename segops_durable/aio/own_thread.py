"""What takes its time (a flush, an import) has a thread of its own for as long as it takes.

It must not keep an event from being stored, and there may be several at once. Whoever is cancelled
stops waiting; the thread goes on to its end, and does not keep the interpreter from its own.
"""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar, cast

from segops_durable.aio.loops import tell_all
from segops_durable.errors import NoThreadError

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.aio.loops import Loop

_T = TypeVar("_T")


async def on_own_thread(loop: Loop, name: str, work: Callable[[], _T]) -> _T:
    """Do something on a new thread, with the calling task's context variables, and wait for it.

    Args:
        loop: The calling task's.
        name: The thread's.
        work: What to do.

    Raises:
        NoThreadError: No thread can be started.
    """
    waiter = loop.waiter()
    context = copy_context()

    def run() -> None:
        try:
            result = context.run(work)
        except BaseException as error:  # noqa: BLE001 - it is the waiting task's
            tell_all([(loop, waiter, None, error)])
        else:
            tell_all([(loop, waiter, result, None)])

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:
        raise NoThreadError(
            f"nothing was done, as no thread can be started ({error})",
            hint="Raise the limit of threads",
        ) from error
    return cast("_T", await waiter.outcome())
