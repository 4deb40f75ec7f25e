"""Whether the calling thread is within an event loop, which it would stop by waiting.

Nothing is loaded to find out: who runs a loop has loaded what runs it.
"""

from __future__ import annotations

import sys


def is_asyncio() -> bool:
    """Whether a loop of asyncio's kind runs on this thread: uvloop's is one."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001 - it is public, and says no by None


def is_trio() -> bool:
    """Whether a task of trio runs on this thread; not if that runs asyncio, and this its task."""
    trio = sys.modules.get("trio")
    if trio is None or not trio.lowlevel.in_trio_task():
        return False
    return not is_asyncio() or sys.modules["asyncio"].current_task() is None
