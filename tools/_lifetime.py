"""Whoever was started by a tool ends with it, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_the_tool() -> None:
    """Have this process end once the one that has started it is gone, if it was killed as well.

    A process of ``forkserver`` is a child of that server, so the system would not tell it.
    """
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    tool = multiprocessing.parent_process()
    if tool is not None:
        tool.join()
        os._exit(1)
