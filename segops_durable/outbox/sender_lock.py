"""The lock of the one sender among all processes, and the note that it leaves in its file."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

from segops_durable.system.filelock import FileLock
from segops_durable.system.locks import BoundedLock
from segops_durable.system.private_files import open_private

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_NOTE = 1 << 16


class SenderLock:
    """A lock that one process at a time holds; the kernel frees it when that one dies.

    Args:
        outbox_path: The outbox file; the lock is beside it.
    """

    def __init__(self, outbox_path: Path) -> None:
        self._outbox_path = outbox_path
        self._path = outbox_path.with_name(outbox_path.name + ".sender")
        self._lock: FileLock | None = None
        # reentrant: a signal handler may interrupt one use with another, or with a fork
        self._guard = _lock()

    def try_acquire(self) -> bool:
        """Take the lock, or keep it; say whether this process has it.

        Raises:
            StorageError: What is there is no file of ours.
            OSError: It cannot be opened.
        """
        with self._guard.turn:
            if self._lock is not None and not self._lock.is_lost:
                return True
            lock = FileLock(self._path, like=self._outbox_path)
            if not lock.try_acquire():
                lock.close()
                return False
            self._lock = lock
            return True

    def release(self) -> None:
        """Let another process send. Safe to call when this one does not."""
        with self._guard.turn:
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def leave_note(self, note: dict[str, Any]) -> None:
        """Leave a note for other processes, if this one has the lock; it may be lost."""
        with self._guard.turn:
            if self._lock is not None:
                self._lock.write(json.dumps({"pid": os.getpid(), **note}).encode())

    def note(self) -> dict[str, Any] | None:
        """What the process that sends says of itself; None if nobody sends."""
        with self._guard.turn:
            if self._lock is None and not self._is_taken():
                return None
        try:
            with os.fdopen(open_private(self._path, like=self._outbox_path), "rb") as file:
                note = json.loads(file.read(_LONGEST_NOTE))
        except (OSError, ValueError, RecursionError):  # it is just being written, or never was
            return {}
        return note if isinstance(note, dict) else {}

    def before_fork(self) -> None:
        """Keep everyone out, so that no other thread holds the guard in the child."""
        self._guard.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._guard.release()

    def after_fork_in_child(self) -> None:
        """Start without the lock: it stayed with the parent."""
        self._guard = _lock()
        self.release()

    def _is_taken(self) -> bool:
        if not self._path.exists():
            return False
        lock = FileLock(self._path, like=self._outbox_path)
        try:
            return not lock.try_acquire()
        finally:
            lock.close()


def _lock() -> BoundedLock:
    """A lock that is held for as long as others may wait for it: what is done then is bounded."""
    return BoundedLock(threading.TIMEOUT_MAX)
