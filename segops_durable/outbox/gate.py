"""The write gate: one writer at a time, among the threads of all processes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from segops_durable.errors import ClosedError
from segops_durable.filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")


class WriteGate:
    """Lets one thread of one process write at a time, in fair turns.

    SQLite's own busy handler makes writers wait for seconds where this takes milliseconds.
    The thread lock stands outside the file lock because flock does not exclude threads
    that share a descriptor.

    A signal handler may raise at any call. Hence no context manager of our own: `with` on
    the interpreter's lock is the one form that cannot be interrupted half-way and leave the
    gate shut for ever.
    """

    def __init__(self, path: Path) -> None:
        self.threads = threading.Lock()
        self._processes = FileLock(path)
        self._holder: int | None = None

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread is inside: true in a signal handler that interrupted it."""
        return self._holder == threading.get_ident()

    def run(self, action: Callable[[], _T]) -> _T:
        """Run an action inside. The caller holds `threads`.

        Raises:
            ClosedError: The gate was closed while the caller waited for `threads`.
        """
        if self._processes.is_closed:
            raise closed_error()
        try:
            self._holder = threading.get_ident()
            self._processes.acquire()
            return action()
        finally:
            self._holder = None
            if not self._processes.is_closed:
                self._processes.release()

    def close(self) -> None:
        """Refuse whoever waits, or comes later."""
        self._processes.close()


def closed_error() -> ClosedError:
    """The error for a client that is used after its shutdown."""
    return ClosedError("the client is shut down", hint="Make a new SegOpsClient")
