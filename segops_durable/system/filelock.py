"""A lock that processes share, and that the kernel frees when its holder dies.

It is `flock` on a file of its own that is never unlinked: unlinking would let two holders
each lock a different file of the same name. `lockf` is no use here, since it grants the
same lock twice within one process. Each `FileLock` opens the file itself, so two of them
in one process exclude each other as two processes do. It does not exclude two threads that
share one `FileLock`: they need a thread lock outside it.

The wait is a poll, not the kernel's own queue: a process that is stopped while it holds the
lock would keep all others there for ever, where nothing but a signal can reach them.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from segops_durable.system.descriptors import FileId, file_of
from segops_durable.system.private_files import open_private

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":  # pragma: no cover - the other platforms' branch is the tested one
    import msvcrt

    def _try_lock(fd: int) -> bool:
        os.lseek(fd, 0, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(fd: int) -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

    def _write_at(fd: int, data: bytes, at: int) -> int:
        os.lseek(fd, at, os.SEEK_SET)
        return os.write(fd, data)

    def _read_at(fd: int, size: int, at: int) -> bytes:
        os.lseek(fd, at, os.SEEK_SET)
        return os.read(fd, size)

else:
    import fcntl

    def _try_lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)

    # neither moves the descriptor's place: where the program has just closed it and opened a file
    # of its own by that number, the program would write that file from the wrong place
    _write_at = os.pwrite
    _read_at = os.pread


_SHORT_WAIT = 0.0005
"""Seconds between two tries at first; measured to be as fair among processes as a queue."""

_LONG_WAIT = 0.01
_LONG_AFTER = 1.0
"""Seconds after which the holder is not about to give it back, and tries are not so urgent."""


class FileLock:
    """An exclusive lock between processes, on a file that is made if need be.

    Args:
        path: The lock file; its directory must exist. It is opened at the first use, and
            created private (0600).
        like: The file whose owner it gets, where root makes it. Defaults to the directory.
    """

    def __init__(self, path: Path, *, like: Path | None = None) -> None:
        self._path = path
        self._like = like
        self._fd = -1
        self._file: FileId | None = None
        self.is_closed: bool = False

    @property
    def _is_ours(self) -> bool:
        return self._file is not None and file_of(self._fd) == self._file

    @property
    def is_lost(self) -> bool:
        """Whether the program has closed our descriptor, and so given the lock back."""
        return self._file is not None and not self._is_ours

    @property
    def is_named(self) -> bool:
        """Whether the file is still the one at its path, or was removed from there."""
        if sys.platform == "win32":  # pragma: no cover - nobody removes an open file there
            return True
        try:
            found = os.lstat(self._path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._file

    def acquire(self, seconds: float) -> bool:
        """Wait for the lock; say whether it could be had in so many seconds."""
        if self.try_acquire():
            return True
        start = now = time.monotonic()
        while now < start + seconds:
            wait = _SHORT_WAIT if now < start + _LONG_AFTER else _LONG_WAIT
            time.sleep(min(wait, start + seconds - now))
            if self.try_acquire():
                return True
            now = time.monotonic()
        return False

    def try_acquire(self) -> bool:
        """Take the lock if it is free; say whether it was.

        Raises:
            StorageError: What is there is no file of ours: a link, a pipe, a stranger's.
        """
        if not self._is_ours:
            # not opened yet; or a daemon has closed all descriptors after its fork (POSIX), and
            # ours may be somebody else's file by now, which is neither locked nor closed
            self._open()
        return _try_lock(self._fd)

    def write(self, note: bytes) -> None:
        """Leave a note in the file for others to read; of no use but to inform."""
        if not self._is_ours:
            return
        # Windows lets nobody else read a byte that is locked: so that is one of its own, the first
        _write_at(self._fd, b" " + note, 0)
        os.ftruncate(
            self._fd, 1 + len(note)
        )  # after it: who is killed between leaves what can be read

    def keep(self, at: int, data: bytes) -> None:
        """Write data into the file, in its place; not synced, and so not to be relied on.

        Whoever has taken the lock has just seen that the descriptor is ours.
        """
        _write_at(self._fd, data, 1 + at)  # behind the byte that is locked, as above

    def kept(self, at: int, size: int) -> bytes:
        """Read what `keep` wrote there; less where there is less. As `keep`."""
        return _read_at(self._fd, size, 1 + at)

    def release(self) -> None:
        """Give the lock back, if it is held; as `keep`."""
        if self._file is not None:
            try:
                _unlock(self._fd)
            except OSError:  # the program has just closed it, and so has given it back
                return

    def close(self) -> None:
        """Close the file, which also gives the lock back. Safe to call twice."""
        self.is_closed = True
        if self._is_ours:
            fd, self._file = self._fd, None
            os.close(fd)

    def _open(self) -> None:
        self._fd = open_private(self._path, like=self._like)
        self._file = file_of(self._fd)
