"""Reading a database's bytes without taking SQLite's locks away from this very process.

On POSIX, closing any descriptor of a file drops all the locks that the process has on it. So
a descriptor is not closed while a connection of this process has the same file open. That may be
one that was closed: SQLite keeps it open until its last statement ends, which an error may still
refer to; and the next connection takes no lock of the file anew, as it counts those that the
process has. Another process would then take itself for the last, and delete the log.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from segops_durable.system.descriptors import FileId, descriptors_of, file_of
from segops_durable.system.locks import ProcessLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

# no fork waits for it: it has a client's threads wait before, and one of them may be here
_guard = ProcessLock(keeps_forks=False)
_held: Counter[FileId] = Counter()  # by how many connections of this process
_left_open: set[FileId] = set()  # by connections that were closed
_parked: dict[FileId, list[int]] = {}


def hold(file: FileId | None) -> FileId | None:
    """Take note of a database that is opened; return what to let go of."""
    if file is not None:
        with _guard.turn:
            _held[file] += 1
    return file


def let_go(file: FileId | None) -> None:
    """Take note of a database that was closed."""
    if file is None:
        return
    with _guard.turn:
        _held[file] -= 1
        if _held[file] > 0:
            return
        del _held[file]
        if descriptors_of([file], _parked.get(file, ())):
            _left_open.add(file)
            return
        _left_open.discard(file)
        for fd in _parked.pop(file, ()):
            if file_of(fd) == file:  # or the program has closed it, and the number is another's
                os.close(fd)


def is_held(path: Path) -> bool:
    """Whether this process has the file at a path open as a database."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return _is_in_use((found.st_dev, found.st_ino))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a database's file to read its bytes.

    Raises:
        OSError: It cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    try:
        yield os.fdopen(fd, "rb", buffering=0, closefd=False)
    finally:
        with _guard.turn:  # or somebody opens it between the question and the end
            held = file_of(fd)
            if held is not None and _is_in_use(held):
                _parked.setdefault(held, []).append(fd)
            else:
                os.close(fd)


def _is_in_use(file: FileId) -> bool:
    return file in _held or file in _left_open
