"""Telling an outbox, however damaged, from a file that never was one.

A mistyped path must not have a picture set aside, nor another program's database given our
tables. So what is at the path is ours only if it says so itself, in its bytes or in its log:

- an entry of its schema, or a number in its sequence, is that of our queue;
- or it is sound, and has no table at all: a client was killed before it made any;
- or a row that waits is found on one of its pages, with its checksum, or a note of who it is.

What says nothing any more, and is no database that can be read, is ours as well if the lock
file beside it has what was noted of an outbox, with its checksum, or our reserve is there; or
if it is all zeros, as a power cut leaves files: there is nothing in it that could be lost. Nor
is there where SQLite's journal has it undone to nothing: the power was cut in the first commit.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from contextlib import closing
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from segops_durable.errors import ConfigurationError, StorageError
from segops_durable.outbox.disk.header import SIZE, problem_of
from segops_durable.outbox.disk.holding import opened
from segops_durable.outbox.disk.pages import Pages
from segops_durable.outbox.records.schema import QUEUE
from segops_durable.outbox.store.failures import is_damage
from segops_durable.outbox.store.gate import WriteGate, lock_path
from segops_durable.outbox.store.inspection import inspect, log_of
from segops_durable.outbox.store.ledger import throughput_beside
from segops_durable.outbox.store.reserve import RESERVE_BYTES, reserve_path
from segops_durable.outbox.store.salvage.notes import Notes
from segops_durable.outbox.store.salvage.rows import as_row

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from segops_durable.outbox.disk.pages import Record

_FIRST_RECORDS = 200
"""Among them is the schema: it is on the first pages."""

_MOST_PAGES = 4096
"""A film is not searched to its end."""

_SCHEMA_TEXT = f"CREATE TABLE `{QUEUE}` (".encode()  # as persist-queue writes it
_JOURNAL = struct.Struct(">8s8xI")
"""What it begins with, and how many pages the file had; its records and a nonce are no matter."""

_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_CHUNK_BYTES = 1 << 16
_PATIENCE_SECONDS = 2.0
_SCHEMA_COLUMNS = 5
_SCHEMA_KINDS = {"table", "index", "view", "trigger"}
HINT_DAMAGED = "segops-durable doctor --repair sets it aside, and saves what can be read"


def refuse_stranger(path: Path) -> None:
    """Refuse a file that never was an outbox; an empty one may become one.

    Raises:
        ConfigurationError: It is one.
        OSError: It cannot be read.
    """
    try:
        with opened(path) as file:
            is_stranger = bool(os.fstat(file.fileno()).st_size) and not _is_ours(path, file)
    except FileNotFoundError:
        return
    if is_stranger:
        raise ConfigurationError(
            f"queue_path must be an outbox, or not be there yet, got {str(path)!r}, which is"
            " a file of something else",
            field="queue_path",
            hint="Choose another: SEGOPS_QUEUE_PATH, or --queue-path. It was not touched",
        )


def refuse_damaged(path: Path) -> None:
    """Refuse a file whose header or log is damaged, without touching anything. For a look.

    Raises:
        StorageError: It is damaged.
        OSError: It cannot be read.
    """
    look = partial(inspect, path, lambda uuid: throughput_beside(path, uuid))
    try:
        if lock_path(path).exists():  # a log that somebody is writing looks damaged
            with closing(WriteGate(path, _PATIENCE_SECONDS)) as gate:
                gate.run(look)
        else:
            look()
    except TimeoutError:
        return  # who keeps it is told of by whoever opens the file
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            raise damaged(path, error) from error


def is_unused(path: Path) -> bool:
    """Whether a file is empty, and so no outbox yet: one is just being made, or never was."""
    return not path.stat().st_size and not any(log_of(path)) and not _has_waiting(path)


def _has_waiting(path: Path) -> bool:
    noted = throughput_beside(path, "")
    return noted is not None and noted.waiting > 0


def damaged(path: Path, error: Exception) -> StorageError:
    """The error for somebody who only looks, and so leaves it as it is."""
    return StorageError(f"the outbox {path} is damaged: {error}", path=str(path), hint=HINT_DAMAGED)


def _is_ours(path: Path, file: BinaryIO) -> bool:
    if _SCHEMA_TEXT in file.read(_CHUNK_BYTES):  # as nearly always: a start is quick
        return True
    pages = Pages(file, log_of(path))
    first = list(islice(pages.records(), _FIRST_RECORDS))
    if any(map(_says_so, first)):
        return True
    file.seek(0)
    if not problem_of(file.read(SIZE), os.fstat(file.fileno()).st_size, set()):
        return not any(map(_is_of_a_schema, first))  # else it is another program's
    return _has_companions(path) or _is_zeros(file) or _is_undone(path) or _has_ours(pages)


def _has_companions(path: Path) -> bool:
    reserve = reserve_path(path)
    is_reserved = reserve.is_file() and reserve.stat().st_size == RESERVE_BYTES
    return is_reserved or throughput_beside(path, "") is not None


def _is_zeros(file: BinaryIO) -> bool:
    file.seek(0)
    return not any(any(chunk) for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""))


def _is_undone(path: Path) -> bool:
    """Whether a journal says that the file was empty: whoever opens it makes it so again."""
    try:
        with path.with_name(path.name + "-journal").open("rb") as file:
            header = file.read(_JOURNAL.size)
    except FileNotFoundError:
        return False
    return len(header) == _JOURNAL.size and _JOURNAL.unpack(header) == (_JOURNAL_MAGIC, 0)


def _has_ours(pages: Pages) -> bool:
    notes = Notes()
    for record in pages.sample(_MOST_PAGES):
        row = as_row(record)
        if _says_so(record) or (row is not None and row.is_intact):
            return True
        notes.add(record)
    return bool(notes.uuid)


def _says_so(record: Record) -> bool:
    return QUEUE in record.values


def _is_of_a_schema(record: Record) -> bool:
    return len(record.values) == _SCHEMA_COLUMNS and record.values[0] in _SCHEMA_KINDS
