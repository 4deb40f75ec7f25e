"""The outbox's files on disk: made private and durable, told apart, set aside."""

from __future__ import annotations

import glob
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from segops_durable.errors import ConfigurationError
from segops_durable.outbox.disk.holding import opened
from segops_durable.system.descriptors import descriptors_of
from segops_durable.system.private_files import make_private, sync_directory
from segops_durable.system.trusted_paths import HINT_PLACE, check_private

if TYPE_CHECKING:
    from segops_durable.system.descriptors import FileId

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
_PART_BYTES = 1 << 20
_USER_AT_START = os.geteuid() if hasattr(os, "geteuid") else None
"""Tells a process that has given up root's rights since from one that never had them."""

_HINT_PLACE = HINT_PLACE[0].lower() + HINT_PLACE[1:]


def make_private_file(path: Path, *, like: Path | None = None) -> None:
    """Create the database 0600 before SQLite can create it with wider permissions.

    Never open an existing one: closing it again would drop SQLite's own locks on it.

    Args:
        path: The database.
        like: The file that it replaces: with root's rights it gets that one's owner. Defaults
            to the directory's.

    Raises:
        StorageError: What is there is no file of ours, or it cannot be given to its owner.
        OSError: It cannot be made.
    """
    check_database(path)
    try:
        os.close(make_private(path, like=like))
    except FileExistsError:
        return
    sync_directory(path.parent)


def check_database(path: Path) -> None:
    """Refuse a database, or what SQLite keeps beside it, that leads to somebody else's file.

    A link to the database would have two locks, and two senders.

    Raises:
        StorageError: It does.
    """
    check_private(path)
    for each in companions(path):
        check_private(each, like=path)


def file_id(path: Path) -> FileId | None:
    """Which file is at a path; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def digest_of(*paths: Path) -> str:
    """What is in files, one after the other, as SHA-256; those that are not there are empty."""
    digest = hashlib.sha256()
    for path in paths:
        with suppress(FileNotFoundError), opened(path) as file:
            while data := file.read(_PART_BYTES):
                digest.update(data)
    return digest.hexdigest()


def digest_of_open(*files: FileId | None) -> str:
    """What is in files that this process has open, whatever names they have, as `digest_of`.

    They are read by the descriptors that are open, which are not moved, and none is closed.

    Returns:
        Empty where one of them is not found.
    """
    digest = hashlib.sha256()
    for file in files:
        fd = None if file is None else next(iter(descriptors_of([file], ())), None)
        if fd is None:
            return ""
        at = 0
        while data := os.pread(fd, _PART_BYTES, at):
            digest.update(data)
            at += len(data)
    return digest.hexdigest()


def hint_for_stranger(path: Path) -> str:
    """What to do where a file is another user's, and closed to this one; empty where it is not.

    A process that gave up root's rights after it made a client is such a stranger.
    """
    if os.name == "nt" or os.access(path, os.R_OK | os.W_OK):
        return ""
    for each in (path, *path.parents):
        with suppress(OSError):
            owner = each.stat().st_uid
            if owner == os.geteuid():
                return ""
            whose = f"{each} belongs to user {owner}, and this process runs as user {os.geteuid()}"
            if os.geteuid() != _USER_AT_START:
                what = "make the client after the process has given up its rights"
            else:
                what = "run this as its owner"
            return f"{whose}: {what}, or {_HINT_PLACE}"
    return ""


def size_on_disk(path: Path) -> int:
    """Bytes of the database, and of what SQLite keeps beside it."""
    return sum(_size(each) for each in (path, *companions(path)))


def companions(path: Path) -> list[Path]:
    """The files that SQLite keeps beside a database."""
    return [path.with_name(path.name + end) for end in _COMPANIONS]


def damaged_copies(path: Path) -> list[Path]:
    """The files that were set aside where this one is, oldest first."""
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


class Mount(NamedTuple):
    """What a path is on.

    Attributes:
        kind: The type of the file system; empty where unknown.
        options: Those that it was mounted with, separated by commas.
    """

    kind: str = ""
    options: str = ""


def filesystem_of(path: Path, mounts: Path | None = None) -> str:
    """The type of the file system that a path is, or will be, on; empty where unknown."""
    return mount_of(path, mounts).kind


def mount_of(path: Path, mounts: Path | None = None) -> Mount:
    """What a path is, or will be, on; nothing where that is unknown."""
    try:
        lines = (
            (mounts or _MOUNTS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        )
    except OSError:  # only Linux says it in a file
        return Mount()
    target = os.path.realpath(path)
    best, mount = "", Mount()
    for line in lines:
        point, kind, options = line.split()[1:4]
        point = point.replace("\\040", " ")
        is_above = target == point or target.startswith(point.rstrip("/") + "/")
        if is_above and len(point) >= len(best):
            best, mount = point, Mount(kind, options)
    return mount


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
