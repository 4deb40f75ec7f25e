"""Moves an outbox into a file of another inode, where SQLite remembers nothing of it.

SQLite keeps, for the whole process, what it believes of an inode: its locks, and the
descriptor that they are taken by. Once a program has closed those descriptors, a new
connection to the same inode would lock whatever has their numbers now, and hold no lock that
other processes see. A connection that was left like that cannot be closed either. So the
file gets another inode: a copy takes its place, and says what it is a copy of. Other processes
notice a replaced file, and go on in the copy.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from segops_durable.outbox.disk.files import companions, digest_of
from segops_durable.outbox.records.ownership import make_successor
from segops_durable.outbox.store.keeping import note_move
from segops_durable.system.private_files import make_private, sync_directory

if TYPE_CHECKING:
    from pathlib import Path


def move_to_new_inode(path: Path) -> None:
    """Put a copy in the place of an outbox file. The caller is behind the write gate.

    Killed at any instant, it leaves the one or the other, whole. The old log is removed last:
    until then it says nothing that is not in the copy as well.

    Raises:
        OSError: It cannot be copied.
        sqlite3.Error: It cannot be read.
    """
    copy = path.with_name(path.name + ".moving")
    ours = (copy, *companions(copy))
    _remove(ours)
    digest = digest_of(path, companions(path)[0])
    try:
        for old, new in zip((path, *companions(path)[:1]), ours, strict=False):
            if old.exists():
                _copy(old, new, like=path)
        with closing(sqlite3.connect(copy, isolation_level=None)) as file:
            file.execute("BEGIN IMMEDIATE")
            make_successor(file)
            note_move(file, digest)
            file.execute("COMMIT")
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        _sync(copy)
        copy.replace(path)
        _remove(companions(path))
    finally:
        _remove(ours)
    sync_directory(path.parent)


def _copy(old: Path, new: Path, *, like: Path) -> None:
    with old.open("rb") as source, os.fdopen(make_private(new, like=like), "wb") as target:
        shutil.copyfileobj(source, target)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDWR)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove(paths: tuple[Path, ...] | list[Path]) -> None:
    for each in paths:
        with suppress(FileNotFoundError):
            each.unlink()
