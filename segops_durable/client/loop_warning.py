"""Says, once, that a client which waits is used where nothing may: within an event loop."""

from __future__ import annotations

import inspect
import sys
import warnings

from segops_durable.system.loops import is_asyncio, is_trio

_PACKAGE = __name__.partition(".")[0]


class BlockedLoopWarning(RuntimeWarning):
    """A `SegOpsClient` was made or flushed within a running event loop, which stands still then.

    Told once in a process, and not in a Jupyter notebook, where the loop is the notebook's own.
    """


_TOLD: list[str] = []


def warn_of_loop(call: str) -> None:
    """Warn if this thread runs an event loop.

    Args:
        call: What was called, as a user writes it.
    """
    if _TOLD or not (is_asyncio() or is_trio()) or "ipykernel" in sys.modules:
        return
    _TOLD.append(call)
    text = (
        f"{call} within a running event loop stops all of its tasks while it waits for the disk or "
        "the network; use AsyncSegOpsClient, of segops_durable.aio, or call it on another thread"
    )
    warnings.warn(text, BlockedLoopWarning, stacklevel=_depth_of_caller())


def _depth_of_caller() -> int:
    """How many frames above `warn_of_loop` the first one is that is not this package's."""
    frame, depth = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith(f"{_PACKAGE}."):
        frame, depth = frame.f_back, depth + 1
    return depth
