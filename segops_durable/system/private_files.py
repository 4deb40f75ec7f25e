"""Files that hold what people do: opened and made so that nobody near us leads us elsewhere.

Somebody who may write to the directory can put a symbolic or hard link, a pipe or a file of
his own where one of ours belongs, and so have us truncate, lock or fill what it leads to. So
such a file is opened without following links, and looked at before anything is done to it. What
is made is readable by its owner alone. With root's rights that is the owner of what it
belongs to: a command that helps must not lock the owner out.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from segops_durable.errors import StorageError
from segops_durable.system.descriptors import raised
from segops_durable.system.trusted_paths import (
    check_found,
    check_private,
    check_regular,
    heir_of,
    not_ours,
    real_path,
    refusal,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ATTEMPTS = 5
# NOFOLLOW: a link that was put there since the look is not followed. NONBLOCK: to open a
# pipe, or a serial line, may block for ever. NOCTTY: a terminal would become this process's own.
# Windows has none of them, but BINARY: without that it would change the ends of lines.
_SAFELY = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)


def open_private(path: Path, *, like: Path | None = None) -> int:
    """Open a file for reading and writing, or make it (0600); return its descriptor.

    Args:
        path: The file.
        like: The file that it belongs to, which may not be there. It belongs to that one's
            owner, else to the directory's.

    Raises:
        StorageError: What is there is no file of ours, or one cannot be given to its owner.
        OSError: It cannot be opened or made.
    """
    for _ in range(_ATTEMPTS):  # somebody may make and remove it by turns
        try:
            return _open_existing(path, like)
        except FileNotFoundError:
            pass
        try:
            return make_private(path, like=like)
        except FileExistsError:
            continue
    raise FileNotFoundError(f"{path} comes and goes")


def make_private(path: Path, *, like: Path | None = None) -> int:
    """Make a file (0600) that is not there, and return its descriptor.

    Raises:
        FileExistsError: Something is there.
        StorageError: It cannot be given to its owner; then it is not made.
        OSError: It cannot be made.
    """
    fd = raised(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | _SAFELY, 0o600))
    try:
        _hand_over(fd, path, heir_of(path, like))
    except BaseException:
        os.close(fd)
        path.unlink()
        raise
    return fd


def make_private_directory(directory: Path) -> None:
    """Make a directory (0700) and those above it, so that no power cut takes it away again.

    Raises:
        StorageError: It cannot be given to its owner; then it is not made.
        OSError: It cannot be made.
    """
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    for each in reversed(missing):
        try:
            each.mkdir(mode=0o700)
        except FileExistsError:  # another process was faster
            continue
        try:
            fd = os.open(each, os.O_RDONLY | _SAFELY)
            try:
                _hand_over(fd, each, heir_of(each, None))
            finally:
                os.close(fd)
        except StorageError:
            each.rmdir()
            raise
        sync_directory(each.parent)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file (0600) that is there as a whole, on disk, or not at all.

    It is written beside the path, as ``NAME.part``, and renamed in the end.

    Raises:
        StorageError: What is there is no file, or somebody else is writing this one.
        OSError: It cannot be written.
    """
    # a user may have put a link to another directory in its place, for root to write into
    path = real_path(path.parent.absolute()) / path.name
    check_regular(path)
    partial = path.with_name(path.name + ".part")
    if partial.is_symlink() or partial.exists():
        check_found(partial, partial.lstat(), path)
        partial.unlink()  # of one that was killed; nobody reads it
    fd = make_private(partial, like=path)
    ours = os.fstat(fd)
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(fd)
        _check_still(partial, ours)
        partial.replace(path)
    except BaseException:
        if _is_at(partial, ours):
            partial.unlink()
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make names in a directory durable."""
    if os.name == "nt":  # pragma: no cover - a directory cannot be opened there
        return
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _open_existing(path: Path, like: Path | None) -> int:
    check_private(path, like=like)  # a device may act on being opened: a tape winds back
    try:
        fd = raised(os.open(path, os.O_RDWR | _SAFELY))
    except PermissionError as error:
        raise not_ours(path) from error
    try:
        check_found(path, os.fstat(fd), like)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_still(path: Path, ours: os.stat_result) -> None:
    # another process that writes the same file takes ours for one that a kill has left, and
    # begins anew under its name: to rename that would publish half of a file
    if not _is_at(path, ours):
        raise refusal(path, "was replaced while it was written", "Another process writes it, too")


def _is_at(path: Path, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.lstat(), file)
    except FileNotFoundError:
        return False


def _hand_over(fd: int, path: Path, heir: tuple[int, int] | None) -> None:
    """Give a new file to its owner. It is empty as yet: nothing is lost where that fails."""
    if heir is None or os.fstat(fd).st_uid == heir[0]:
        return
    try:
        os.fchown(fd, *heir)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be given to user {heir[0]}, who owns its place: {error}",
            path=str(path),
            hint="Run this as that user",
        ) from error
