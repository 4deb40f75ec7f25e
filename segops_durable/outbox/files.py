"""The outbox's files on disk: made private and durable, told apart, set aside."""

from __future__ import annotations

import glob
import os
import time
from pathlib import Path

from segops_durable.errors import ConfigurationError

FileId = tuple[int, int]

_MOUNTS = Path("/proc/self/mounts")
_NETWORK = {
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "davfs",
    "fuse.ceph",
    "fuse.glusterfs",
    "fuse.s3fs",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb2",
    "smb3",
    "smbfs",
}
_COMPANIONS = ("-wal", "-shm")


def make_private_directory(directory: Path) -> None:
    """Make the directory, and make sure that a power cut cannot take it away again."""
    missing = [parent for parent in (directory, *directory.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o700, exist_ok=True)
        sync_directory(parent.parent)


def make_private_file(path: Path) -> None:
    """Create the database 0600 before SQLite can create it with wider permissions.

    Never open an existing one: closing it again would drop SQLite's own locks on it.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
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


def file_id(path: Path) -> FileId | None:
    """Which file is at a path; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def size_on_disk(path: Path) -> int:
    """Bytes of the database, and of what SQLite keeps beside it."""
    return sum(_size(each) for each in (path, *companions(path)))


def companions(path: Path) -> list[Path]:
    """The files that SQLite keeps beside a database."""
    return [path.with_name(path.name + end) for end in _COMPANIONS]


def set_aside(path: Path) -> Path:
    """Rename a database and its companions, so that nothing is lost that may be read later.

    Returns:
        Its new path: ``outbox.db.damaged-20260131T120000``.
    """
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    count = 0
    while any(each.exists() for each in (aside, *companions(aside))):
        count += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{count}")
    for old, new in zip((path, *companions(path)), (aside, *companions(aside)), strict=True):
        if old.exists():
            old.replace(new)
    sync_directory(path.parent)
    return aside


def damaged_copies(path: Path) -> list[Path]:
    """The files that `set_aside` has made of this one, oldest first."""
    return sorted(path.parent.glob(f"{glob.escape(path.name)}.damaged-*"))


def refuse_network_filesystem(path: Path) -> None:
    """Refuse a place where locks, and SQLite's shared memory, do not hold between machines.

    Raises:
        ConfigurationError: It is one.
    """
    kind = filesystem_of(path)
    if is_network_filesystem(kind):
        raise ConfigurationError(
            f"queue_path must not be on a network file system, got {str(path)!r} on {kind}",
            field="queue_path",
            hint="Choose a local disk, or pass allow_network_filesystem=True",
        )


def is_network_filesystem(kind: str) -> bool:
    """Whether a type of file system is one that machines share."""
    return kind in _NETWORK or kind.startswith("fuse.ssh")


def filesystem_of(path: Path, mounts: Path | None = None) -> str:
    """The type of the file system that a path is, or will be, on; empty where unknown."""
    try:
        lines = (
            (mounts or _MOUNTS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        )
    except OSError:  # only Linux says it in a file
        return ""
    target = os.path.realpath(path)
    best = kind = ""
    for line in lines:
        point, found = line.split()[1:3]
        point = point.replace("\\040", " ")
        is_above = target == point or target.startswith(point.rstrip("/") + "/")
        if is_above and len(point) >= len(best):
            best, kind = point, found
    return kind


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
