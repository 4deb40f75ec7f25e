"""A lock that nobody waits for without end, and that knows whose it is.

A signal handler runs in the middle of whatever its thread was doing, at any instruction, and
may call in again, or raise. So two things must not be spread over several instructions: a
lock and the note of who holds it, and a lock and the block that gives it back. The
interpreter's reentrant lock does the first in one step; `with` does the second, if both of
its ends are the interpreter's own calls and no Python function of ours.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_T = TypeVar("_T")


class BoundedLock:
    """A lock for the threads of this process.

    Args:
        seconds: How long a thread waits for it at most.

    Attributes:
        is_mine: Says whether the calling thread holds it: true in a handler that interrupted the
            holder.
        turn: A block with the lock held, for who cannot afford `run`: it says, as its value,
            whether it could be had in time. If not, its end raises a RuntimeError.
    """

    def __init__(self, seconds: float) -> None:
        lock = cast("Any", threading.RLock())  # the stubs leave out who owns it
        self._lock = lock
        self._seconds = seconds
        self.is_mine: Callable[[], bool] = lock._is_owned  # noqa: SLF001 - what `threading.Condition` asks
        self.turn: Any = self.turn_of(seconds)

    def run(self, action: Callable[[], _T], seconds: float | None = None) -> _T:
        """Run an action with the lock held.

        Args:
            action: What to run.
            seconds: How long to wait. Defaults to as long as anybody does.

        Raises:
            TimeoutError: The lock could not be had in time.
        """
        is_held = True
        try:
            with self.turn if seconds is None else self.turn_of(seconds) as is_held:
                if is_held:
                    return action()
        except RuntimeError:
            if is_held:
                raise
            # the time was up: `with` went on nevertheless, and at its end released a lock that
            # this thread does not hold, which raises; anything else is the action's own error
        raise TimeoutError("another thread has kept the lock")

    def acquire(self) -> bool:
        """Take it beyond a block, as a fork must; say whether it could be had."""
        taken: bool = self._lock.acquire(timeout=self._seconds)
        return taken

    def release(self) -> None:
        """Give it back, if it is held."""
        if self.is_mine():
            self._lock.release()

    def turn_of(self, seconds: float) -> Any:  # noqa: ANN401 - a class made to order
        """A block with the lock held, as `turn` is, that is waited for so many seconds."""
        ends = {
            "__enter__": staticmethod(partial(self._lock.acquire, timeout=seconds)),
            "__exit__": staticmethod(self._lock.__exit__),
        }
        return type("Turn", (), ends)()


class ProcessLock:
    """A lock for what is one in the whole process; a child of a fork has it open.

    Args:
        keeps_forks: Whether a fork waits for whoever holds it, so that what is done under it is
            whole in the child. Nobody may wait then, who holds it, for what a thread that forks
            has taken before. Defaults to True.

    Attributes:
        turn: A block with the lock held; by one thread as often as it likes.
    """

    def __init__(self, *, keeps_forks: bool = True) -> None:
        lock = cast("Any", threading.RLock())  # the stubs leave out what `logging` does at a fork
        self.turn: threading.RLock = lock
        if not hasattr(os, "register_at_fork"):  # Windows has no fork
            return
        # no function of ours: Ctrl-C in the midst of a fork would be raised in it
        if keeps_forks:
            os.register_at_fork(before=lock.acquire, after_in_parent=lock.release)
        os.register_at_fork(after_in_child=lock._at_fork_reinit)  # noqa: SLF001 - as above


@contextmanager
def alone(at_work: threading.Lock) -> Iterator[None]:
    """Refuse a second thread: it would go on with what the first one has in hand.

    Raises:
        RuntimeError: Another thread is within.
    """
    if not at_work.acquire(blocking=False):
        raise RuntimeError("this is at work on another thread")
    try:
        yield
    finally:
        at_work.release()
