"""Whether a descriptor is still what we opened.

A daemon closes all descriptors after its fork, whoever they belong to, and the system gives
their numbers to the next files that are opened. A number alone then leads to somebody
else's file: to lock, write or close it would harm a stranger. Its device and inode tell.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

if sys.platform != "win32":
    import fcntl

FileId = tuple[int, int]

_FIRST_FREE = 3

_LISTS = (Path("/proc/self/fd"), Path("/dev/fd"))


def raised(fd: int) -> int:
    """A descriptor in place of one that has the number of a standard stream; the old is closed.

    A program that was started without these streams, as daemons are, gets their numbers for
    the next files that are opened, and whatever it prints goes into those.
    """
    if fd >= _FIRST_FREE or sys.platform == "win32":
        return fd
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
    finally:
        os.close(fd)


def file_of(fd: int) -> FileId | None:
    """The device and inode behind a descriptor; None if it is closed."""
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def names_of(descriptors: Mapping[int, FileId]) -> int | None:
    """How many names the last of these files has; for every commit.

    Returns:
        None where one of the descriptors does not lead to its file any more; 0 if there is none.
    """
    names = 0
    try:
        for fd, (device, inode) in descriptors.items():
            found = os.fstat(fd)
            if found.st_ino != inode or found.st_dev != device:
                return None
            names = found.st_nlink
    except OSError:
        return None
    return names


def descriptors_of(files: Iterable[FileId], but: Iterable[int]) -> dict[int, FileId]:
    """The open descriptors that lead to these files, but for some; empty where nothing tells."""
    wanted = set(files)
    found = ((fd, file_of(fd)) for fd in set(open_descriptors()).difference(but))
    return {fd: file for fd, file in found if file in wanted}


def open_descriptors() -> list[int]:
    """The numbers of all that this process has open; empty where the system does not tell."""
    for directory in _LISTS:
        with suppress(OSError):
            numbers = [int(name) for name in os.listdir(directory) if name.isdigit()]  # noqa: PTH208 - names are wanted
            return [fd for fd in numbers if file_of(fd)]  # but for that of the list itself
    return []  # Windows: nobody closes all descriptors there


def keep_for_ever(value: object) -> None:
    """Let an object outlive even the interpreter: what its end would close is not its own."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))
