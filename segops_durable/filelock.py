"""A lock that processes share, and that the kernel frees when its holder dies.

It is `flock` on a file of its own that is never unlinked: unlinking would let two holders
each lock a different file of the same name. `lockf` is no use here, since it grants the
same lock twice within one process. Each `FileLock` opens the file itself, so two of them
in one process exclude each other as two processes do. It does not exclude two threads that
share one `FileLock`: they need a thread lock outside it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":  # pragma: no cover - the other platforms' branch is the tested one
    import msvcrt
    import time

    _POLL_SECONDS = 0.001

    def _lock(fd: int, *, blocking: bool) -> bool:
        while True:
            os.lseek(fd, 0, os.SEEK_SET)
            try:
                msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
            except OSError:
                if not blocking:
                    return False
                time.sleep(_POLL_SECONDS)  # msvcrt has no wait of its own that is shorter than 1 s
            else:
                return True

    def _unlock(fd: int) -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(fd: int, *, blocking: bool) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if blocking else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)


class FileLock:
    """An exclusive lock between processes, on a file that is made if need be.

    Args:
        path: The lock file; its directory must exist. It is created private (0600).
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._fd < 0

    def acquire(self) -> None:
        """Wait for the lock."""
        _lock(self._fd, blocking=True)

    def try_acquire(self) -> bool:
        """Take the lock if it is free; say whether it was."""
        return _lock(self._fd, blocking=False)

    def write(self, note: bytes) -> None:
        """Leave a note in the file for others to `read`; of no use but to inform."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.write(self._fd, b" " + note)  # the first byte is what Windows locks

    def release(self) -> None:
        """Give the lock back."""
        _unlock(self._fd)

    def close(self) -> None:
        """Close the file, which also gives the lock back. Safe to call twice."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
