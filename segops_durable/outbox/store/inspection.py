"""Looking at an outbox file before SQLite opens it, and recovers its log in silence."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

from segops_durable.outbox.disk.header import SIZE, has_pointer_map, problem_of
from segops_durable.outbox.disk.holding import is_held, opened
from segops_durable.outbox.disk.log import FRAME_SIZE, present_pages, read_log
from segops_durable.outbox.store.boundary import open_read_only
from segops_durable.outbox.store.ledger import Throughput, throughput_of, uuid_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

_FRAMES_AT, _INDEX_BYTES = 16, 20
_PART_BYTES = 1 << 20
_LARGEST_FRAME = 24 + (1 << 16)  # its page may end in zeros
_SURE = 2  # commits behind a bad frame: what a power cut tears is the last one alone


def log_of(path: Path) -> bytes:
    """The bytes of a database's log, but for zeros that end it; empty if there is none."""
    try:
        with path.with_name(path.name + "-wal").open("rb") as file:
            size = _without_zeros(file)
            file.seek(0)
            return file.read(size)
    except FileNotFoundError:
        return b""


def _without_zeros(file: BinaryIO) -> int:
    """The size of a log but for whole frames of zeros at its end, of which it may have GiBs."""
    size = end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _PART_BYTES)
        file.seek(start)
        part = file.read(end - start)
        if part != bytes(len(part)):
            break
        end = start
    return size - max(0, size - end - _LARGEST_FRAME) // FRAME_SIZE * FRAME_SIZE


def inspect(path: Path, noted: Callable[[str], Throughput | None]) -> None:
    """Look at a file's header and log. The caller is behind the write gate.

    A file that this process has open already was looked at when it was opened.

    Args:
        path: The file; it is there.
        noted: Says what was noted outside the file of the outbox with a UUID.

    Raises:
        sqlite3.DatabaseError: They are damaged.
        OSError: They cannot be read.
    """
    if is_held(path) or path.with_name(path.name + "-journal").exists():
        return  # with a journal, SQLite itself will undo what was half made
    log = log_of(path)
    with opened(path) as file:
        header, size = file.read(SIZE), os.fstat(file.fileno()).st_size
    _check_emptiness(size, log, noted)
    problem = problem_of(header, size, present_pages(log))
    if problem:
        raise sqlite3.DatabaseError(f"malformed header: {problem}")
    if has_pointer_map(header):
        _check_pointer_map(path)
    if any(log):
        _check_log(path, log, noted)


def _check_emptiness(size: int, log: bytes, noted: Callable[[str], Throughput | None]) -> None:
    if size:
        return
    if present_pages(log):  # SQLite would delete it
        raise sqlite3.DatabaseError("malformed: it is empty, and its log is not")
    known = noted("")
    if known is not None and known.waiting > 0:
        raise sqlite3.DatabaseError(f"malformed: it is empty, and {known.waiting} events waited")


def _check_pointer_map(path: Path) -> None:
    """Tell an administrator's ``auto_vacuum`` from damage: there is a map, and it is right."""
    with closing(open_read_only(path)) as file:
        found = file.execute("PRAGMA quick_check(1)").fetchall()
    if found != [("ok",)]:
        raise sqlite3.DatabaseError("malformed header: auto-vacuum")


def _check_log(path: Path, data: bytes, noted: Callable[[str], Throughput | None]) -> None:
    """Tell a log that is damaged from one whose end a power cut has torn.

    What it lost is known outside of it: nobody was told that a torn commit is on disk. Where
    nothing is known, commits behind the bad frame tell; they were written one after the other.
    """
    here = known = None
    sound = 0
    with (
        suppress(sqlite3.Error),
        ExitStack() as after_sqlite,
        # one that only reads leaves the log alone, also when it is closed
        closing(open_read_only(path)) as file,
    ):
        here = throughput_of(file)
        sound = _recovered(path, after_sqlite)
        known = noted(uuid_of(file))
    if here is None or known is None:
        log = read_log(data, sound)
        is_damaged = not log.is_whole and log.commits_behind >= _SURE
    else:
        is_damaged = here.lacks(known) > 0
    if is_damaged:
        raise sqlite3.DatabaseError("malformed log: commits behind a bad frame, or cut off")


def _recovered(path: Path, after_sqlite: ExitStack) -> int:
    """How many frames of the log SQLite has just found sound, by its index; 0 if that is not said.

    On POSIX a process that closes a descriptor of the index loses the lock by which SQLite says
    that it has it mapped: the next process to open the file would cut the index to nothing, and
    this one die of SIGBUS. So it is closed when SQLite has closed its own.

    Args:
        path: The database, which a connection of this process has open.
        after_sqlite: What ends after that connection.
    """
    try:
        file = after_sqlite.enter_context(path.with_name(path.name + "-shm").open("rb"))
        return int.from_bytes(file.read(_INDEX_BYTES)[_FRAMES_AT:], sys.byteorder)
    except OSError:  # on Windows it is locked
        return 0
