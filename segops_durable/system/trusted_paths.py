"""What is at a path, and whether it may be trusted: links, kinds, owners.

Somebody who may write to the directory can put a symbolic or hard link, a pipe or a file of
his own where one of ours belongs, and so have us truncate, lock or fill what it leads to. So
what is there is looked at before anything is done to it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from segops_durable.errors import StorageError

_ROOT = 0
_MOST_LINKS = 40

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}

HINT_PLACE = "Give a queue_path (SEGOPS_QUEUE_PATH) in a directory that this user may write to"

_HINT = "See who put it there, and remove it"


def real_path(path: Path) -> Path:
    """The path without symbolic links, so that a file has one name, and one lock beside it.

    Args:
        path: The path, absolute. The file need not be there.

    Raises:
        StorageError: A directory may not be looked into, links go round in a circle, or one is
            a stranger's, in a directory that everybody may write to; or, with root's rights,
            one is a user's and leads to what is not that user's own.
    """
    found = path
    try:
        for _ in range(_MOST_LINKS):
            steps = (*reversed(found.parents), found)
            link = next((each for each in steps if each.is_symlink()), None)
            if link is None:
                return Path(os.path.normpath(found))
            _check_link(link)
            found = link.parent / link.readlink() / found.relative_to(link)
    except OSError as error:
        problem = f"cannot be reached: {error.strerror}"
        raise refusal(path, problem, HINT_PLACE) from error
    raise refusal(path, "cannot be reached: its links go round in a circle", HINT_PLACE)


def check_private(path: Path, *, like: Path | None = None) -> None:
    """Refuse what is at a path unless it is a file of ours, or nothing; it is not opened.

    For what SQLite opens by itself: to open and close its files drops its locks on them.

    Raises:
        StorageError: It is none.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    check_found(path, found, like)


def check_openable(path: Path) -> None:
    """Refuse a file that this user may not read and write, in words that say whose it is.

    Raises:
        StorageError: It is such a file.
        OSError: It is not there.
    """
    if not os.access(path, os.R_OK | os.W_OK):
        raise not_ours(path)


def check_replaceable(path: Path) -> None:
    """Refuse to put another file where one is, if its owner would be locked out by that.

    Raises:
        StorageError: It is of another user, and this one cannot give a new one to him.
    """
    user = _user()
    if user is None or user == _ROOT:
        return  # what root makes is handed over as soon as it is made
    try:
        owner = path.lstat().st_uid
    except FileNotFoundError:
        return
    if owner != user:
        raise StorageError(
            f"{path} belongs to user {owner}, who could not open what user {user} puts there",
            path=str(path),
            hint="Run this as its owner, or as root",
        )


def check_regular(path: Path) -> None:
    """Refuse to replace what is no file: a link, a device, a pipe.

    Raises:
        StorageError: It is none.
    """
    with suppress(FileNotFoundError):
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise refusal(path, f"is {_kind(found)}", "Give another name")


def not_ours(path: Path) -> StorageError:
    """What to raise where this user may not open a file: it says whose it is."""
    owner = path.lstat().st_uid
    problem = f"belongs to user {owner}, and user {_user()} may not open it"
    return refusal(path, problem, "Run this as its owner, or hand it over as root")


def check_found(path: Path, found: os.stat_result, like: Path | None) -> None:
    """Refuse what was found at a path unless it is a file of ours.

    Args:
        path: The path.
        found: What is there; of an open descriptor, what nobody can exchange any more.
        like: The file that it belongs to, as `open_private` has it.

    Raises:
        StorageError: It is none.
    """
    if not stat.S_ISREG(found.st_mode):
        raise refusal(path, f"is {_kind(found)}, not a file")
    if found.st_nlink > 1:
        raise refusal(path, f"has {found.st_nlink} names: it may be somebody else's file")
    user, directory = _user(), path.parent.stat()
    if user is None or found.st_uid in {user, _ROOT, directory.st_uid}:
        return
    if user == _ROOT and not directory.st_mode & stat.S_IWOTH:
        return  # an administrator helps, where not everybody could have put it
    heir = heir_of(path, like)
    if heir is None or heir[0] != found.st_uid:
        raise refusal(path, f"belongs to user {found.st_uid}, not to user {user}")


def _check_link(link: Path) -> None:
    """What the kernel may be set to check by itself: ``fs.protected_symlinks``."""
    found, directory = link.lstat(), link.parent.stat()
    is_shared = directory.st_mode & stat.S_IWOTH
    if is_shared and found.st_uid not in {_user(), _ROOT, directory.st_uid}:
        raise refusal(link, f"is a symbolic link of user {found.st_uid}")
    if _user() != _ROOT or found.st_uid == _ROOT:
        return
    owner = _owner_behind(link)
    # a user who may not write there himself has root do it, who follows his link
    if owner != found.st_uid:
        problem = f"is a symbolic link of user {found.st_uid} to what belongs to user {owner}"
        raise refusal(link, problem)


def _owner_behind(link: Path) -> int:
    """Whose that is which a link leads to, or, if it is not there, the directory it would be in."""
    target = link.parent / link.readlink()
    return next(each for each in (target, *target.parents) if os.path.lexists(each)).lstat().st_uid


def refusal(path: Path, problem: str, hint: str = _HINT) -> StorageError:
    """What to raise where a path is not used."""
    return StorageError(f"{path} {problem}", path=str(path), hint=hint)


def _kind(found: os.stat_result) -> str:
    return _KINDS.get(stat.S_IFMT(found.st_mode), "no file")


def _user() -> int | None:
    """The user whose rights this process has; None where there are no such numbers."""
    return os.geteuid() if hasattr(os, "geteuid") else None


def heir_of(path: Path, like: Path | None) -> tuple[int, int] | None:
    """Who a new file is for, with root's rights: a user and a group; None is whoever makes it."""
    if _user() != _ROOT:
        return None
    try:
        found = (path.parent if like is None else like).lstat()
    except FileNotFoundError:
        found = path.parent.stat()
    return found.st_uid, found.st_gid
