"""The write gate: one writer at a time, among the threads of all processes."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, TypeVar

from segops_durable.errors import ClosedError
from segops_durable.system.filelock import FileLock
from segops_durable.system.holders import Holder, holder_of
from segops_durable.system.living import Living
from segops_durable.system.locks import BoundedLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")

LOCK_TIMEOUT = 5.0
"""Seconds that `Options.lock_timeout` defaults to."""

_ALL: Living[WriteGate] = Living()

BRIEF_SECONDS = 0.02
"""How long one waits who has others to serve meanwhile."""

MOST_WAITS = 12
"""How many times as long is waited for one who works: for a thread, or a process that gets on."""


class WriteGate:
    """Lets one thread of one process write at a time.

    SQLite's own busy handler makes writers wait for seconds where this takes milliseconds.
    The thread lock stands outside the file lock because flock does not exclude threads
    that share a descriptor.

    Args:
        outbox_path: The outbox file; the lock is beside it.
        seconds: How long to wait for a process that holds the lock and does nothing: it may
            be stopped. One that uses the processor meanwhile is waited for longer.

    Attributes:
        is_mine: Says whether the calling thread is inside: true in a signal handler that
            interrupted it.
        keep: Writes data into the lock file, as `FileLock.keep`. The caller is inside.
    """

    def __init__(self, outbox_path: Path, seconds: float) -> None:
        self.path: Path = lock_path(outbox_path)
        self._seconds = seconds
        self._threads = BoundedLock(MOST_WAITS * seconds)
        self._brief_turn = self._threads.turn_of(BRIEF_SECONDS)  # to make one takes time
        self.is_mine: Callable[[], bool] = self._threads.is_mine
        self._processes = FileLock(self.path, like=outbox_path)
        self.keep: Callable[[int, bytes], None] = self._processes.keep
        self._gave_up_at = time.monotonic()
        _ALL.add(self)

    def is_held_here(self, path: Path) -> bool:
        """Whether the calling thread is inside, and has interrupted itself; by the lock's path."""
        return self.path == path and self.is_mine() and not self._processes.is_closed

    def run(
        self, action: Callable[..., _T], *arguments: object, seconds: float | None = None
    ) -> _T:
        """Run an action inside. The calling thread must not be there already.

        Args:
            action: What to run.
            *arguments: What it is called with.
            seconds: How long to wait. Defaults to as long as for any action.

        Raises:
            ClosedError: The gate was closed while the caller waited.
            TimeoutError: It could not be had in time.
        """
        arrived = time.monotonic()
        is_mine, may_hold = True, False
        try:
            with self._threads.turn if seconds is None else self._turn_of(seconds) as is_mine:
                if is_mine:
                    may_hold = True
                    try:
                        if self._processes.is_closed or not self._processes.try_acquire():
                            self._wait(arrived, seconds)
                        return action(*arguments)
                    finally:
                        self._processes.release()
                        may_hold = False
        except BaseException as error:
            # a signal handler (Ctrl-C) raised between the action and the release: the file lock
            # would be held for as long as this process lives, and every other one would wait
            if may_hold:
                self._threads.run(self._processes.release)
            if is_mine or not isinstance(error, RuntimeError):
                raise
        raise TimeoutError("another thread has kept the lock")

    def hold(self) -> bool:
        """Keep the other threads out, for a fork; False if that cannot be."""
        return self._threads.acquire()

    def let_go(self) -> None:
        """Let them in again."""
        self._threads.release()

    def kept(self, at: int, size: int) -> bytes:
        """Read data of the lock file. The caller is inside."""
        return self._processes.kept(at, size)

    def close(self) -> None:
        """Refuse whoever waits, or comes later."""
        self._processes.close()

    def _turn_of(self, seconds: float) -> Any:  # noqa: ANN401 - as `BoundedLock.turn`
        return self._brief_turn if seconds == BRIEF_SECONDS else self._threads.turn_of(seconds)

    def _wait(self, arrived: float, seconds: float | None) -> None:
        """Wait for the file lock, in two halves, to see whether its holder gets on.

        Args:
            arrived: When the caller began to wait for the other threads.
            seconds: How long to wait for it; None for as long as for any action.
        """
        if self._processes.is_closed:
            raise closed_error()
        # a thread before this one waited its whole time while this one queued behind it: the
        # holder is stuck, and if each of many threads waited as long, the last would for minutes
        is_whole = seconds is None
        if self._gave_up_at > arrived:
            seconds = 0.0
        elif seconds is None:
            seconds = self._seconds
        before: Holder | None = None
        others = [each for each in _ALL.now() if each is not self]
        if any(each.is_held_here(self.path) for each in others):
            raise TimeoutError("a handler interrupted another client of this file")
        for half in range(2 * MOST_WAITS):
            if self._processes.acquire(seconds / 2):
                return
            holder = holder_of([self.path])
            if half and not _gets_on(before, holder):
                break
            before = holder
        if is_whole:  # whoever waits for a moment only knows nothing of a holder that is stuck
            self._gave_up_at = time.monotonic()
        raise TimeoutError("another process has kept the lock")


def _gets_on(before: Holder | None, now: Holder | None) -> bool:
    """Whether the holder is another one, or has worked: it is not stuck in what it holds."""
    if before is None or now is None or now.is_stopped or now.pid == os.getpid():
        return False
    return (now.pid, now.ticks) != (before.pid, before.ticks)


def lock_path(outbox_path: Path) -> Path:
    """Where the lock of an outbox is: beside it."""
    return outbox_path.with_name(outbox_path.name + ".lock")


def closed_error() -> ClosedError:
    """The error for a client that is used after its shutdown."""
    return ClosedError("the client is shut down", hint="Make a new SegOpsClient")
