"""A thread that is started as soon as one can be had.

There may be none: a limit of the system, or an interpreter that is about to end. What needs
the thread waits then, and nothing else does.

Nobody asks the interpreter whether the thread runs: `is_alive` and `join`, interrupted by
Ctrl-C, may take a thread that runs for one that has ended.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from segops_durable.system.bell import Bell
from segops_durable.system.locks import BoundedLock

if TYPE_CHECKING:
    from collections.abc import Callable


class Worker:
    """One thread, which runs once.

    Args:
        name: The thread's.
        work: What it does.

    Attributes:
        is_over: Whether it has come to its end.
        at_end: What it does when nobody waits for it any more.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._thread: threading.Thread | None = None
        self._ident: int | None = None
        self._starting = BoundedLock(threading.TIMEOUT_MAX)
        self._only_once = threading.Lock()  # of two threads (see `_run`) one works; never released
        self._over = Bell()
        self.is_over: bool = False
        self.at_end: Callable[[], object] = lambda: None

    @property
    def is_current(self) -> bool:
        """Whether the calling thread is this one."""
        return self._ident == threading.get_ident()

    @property
    def is_running(self) -> bool:
        """Whether it was started, and has not come to its end."""
        return self._thread is not None and not self.is_over

    def start(self) -> None:
        """Start it, unless it was started before.

        Raises:
            RuntimeError: There is no thread to be had, now.
        """
        # a signal handler that tracks may interrupt a start: the lock is this thread's then, and
        # reentrant, and would let it start a second thread in the middle of the first start
        if self._thread is None and not self._starting.is_mine():
            self._starting.run(self._start)

    def wait_for_end(self, seconds: float) -> bool:
        """Wait for its end; say whether it came. At once for the thread itself."""
        deadline = time.monotonic() + seconds
        while self.is_running and not self.is_current:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._over.wait(left)
        if self._thread is not None and not self.is_current:
            # it has rung before `at_end`: whoever waits for its end is to find that done as well
            self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self.is_running

    def _start(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        # Ctrl-C within `Thread.start` raises though the thread runs: `_start` knows of none then,
        # and the next call starts another, which has to leave the work to the first
        if not self._only_once.acquire(blocking=False):
            return
        self._ident = threading.get_ident()
        try:
            self._work()
        finally:
            self.is_over = True
            self._over.ring()
            self.at_end()
            self._ident = None
