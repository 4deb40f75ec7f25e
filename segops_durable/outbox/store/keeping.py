"""What waits in a file that is no longer at the path, kept once, however many have it open.

Whoever notices first keeps a copy; or carries what waits over into a new file, if nothing is at
the path. That is noted in the old file itself, by the connection that is still open to it: so the
others, who have that very file open, find it there, and nobody else does. A file that is opened at
the path is in use, and what was noted before in it, or in what it is a copy of, is taken away.

Two are succeeded by a file that was made of what they held, and cannot be written any more: a
damaged one, and one whose descriptors a program has closed. There the new file says what was in
the old one, and whoever has that open sees by its bytes that it is meant.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, NamedTuple

from segops_durable.outbox.disk.files import companions, digest_of_open, file_id, make_private_file
from segops_durable.outbox.records.incidents import noted_incidents
from segops_durable.outbox.records.notes import read_note, write_note
from segops_durable.outbox.records.schema import LETTERS, QUEUE
from segops_durable.outbox.store.boundary import open_read_only
from segops_durable.outbox.store.failures import is_damage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.outbox.store.event_queue import EventQueue

_KEPT = "kept"
"""The note of how the copy's name ends; it is empty where what waited was carried over."""

_MOVES = "moves"
"""The note of what was in the files that a file was moved from."""

_MOST_MOVES = 20
"""Whoever has slept through more keeps a copy, and says so."""

_IS_EMPTY = f"SELECT NOT EXISTS (SELECT 1 FROM {QUEUE}) AND NOT EXISTS (SELECT 1 FROM {LETTERS})"


class Before(NamedTuple):
    """What became of the file before.

    Attributes:
        kept: Where what waited in it is kept; None if it is not, or not any more.
        is_moved: Whether the file at the path is the same, moved by one of us.
    """

    kept: Path | None = None
    is_moved: bool = False


class Keeping:
    """Keeps what waits in files that another one has replaced. Behind the write gate.

    Args:
        path: The outbox file.
        new_name: Says how a copy is called.
    """

    def __init__(self, path: Path, new_name: Callable[[], str]) -> None:
        self._path = path
        self._new_name = new_name

    def keep(self, old: EventQueue) -> Before:
        """Keep what waits in a file that is no longer at the path, if nobody else has it.

        Who has moved it away with its log has it. Else that log is still beside the other file,
        and SQLite would play it into that one: it is taken away.

        Raises:
            sqlite3.Error: The old file cannot be read, or the copy cannot be written.
            OSError: The copy cannot be made.
        """
        log, index = companions(self._path)
        is_left = old.log is not None and file_id(log) == old.log
        before = self._before(old, is_log_left=is_left)
        if is_left:
            index.unlink(missing_ok=True)
            log.unlink(missing_ok=True)
        return before

    def _before(self, old: EventQueue, *, is_log_left: bool) -> Before:
        name = _noted_name(old)
        if name is None:
            if not is_log_left and not old.is_nameless:
                return Before()
            made_of = _Predecessors(self._path, is_log_left=is_log_left)
            digest = digest_of_open(old.file, old.log)
            if digest and digest in {*made_of.moved, *made_of.set_aside}:
                return Before(is_moved=digest in made_of.moved)
            if _is_empty(old):
                return Before()
            name = self._begin(old)
        kept = self._path.with_name(self._path.name + name)
        if not name or not kept.exists():
            return Before()  # it was carried over; or somebody has sent it since
        if _has_nothing(kept):
            copy_into(kept, old)
        return Before(kept)

    def _begin(self, old: EventQueue) -> str:
        """Make the file, and note its name: whoever comes next goes on with that one."""
        kept = self._path.with_name(self._new_name())
        name = kept.name.removeprefix(self._path.name)
        make_private_file(kept)
        try:
            _note(old, name)
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                return name  # nothing can be noted: each keeps its own
            if _noted_name(old) is None:
                kept.unlink()
            raise
        return name


def copy_into(kept: Path, old: EventQueue) -> None:
    """Copy a file, all of it or nothing."""
    with closing(sqlite3.connect(kept)) as target:
        old.writer.backup(target)


def note_carried_over(old: EventQueue) -> None:
    """Note that all that waits in a file is in the new one that is at the path now."""
    with suppress(sqlite3.Error):  # then the others keep a copy, which is no harm but a question
        _note(old, "")


def forget_kept(writer: sqlite3.Connection) -> None:
    """Take away what was noted in a file, or in what it is a copy of, before it is in use again."""
    sql = "FROM meta WHERE name = ?"
    if writer.execute(f"SELECT 1 {sql}", (_KEPT,)).fetchone():  # else nothing is written
        writer.execute(f"DELETE {sql}", (_KEPT,))


def note_move(writer: sqlite3.Connection, digest: str) -> None:
    """Note what was in the file that this one was moved from, within the caller's transaction."""
    moves = [*_moves(writer), digest][-_MOST_MOVES:]
    write_note(writer, _MOVES, json.dumps(moves))


class _Predecessors:
    """What was in the files that the one at a path was made of, as far as it says.

    Attributes:
        moved: Digests of those that it was moved from.
        set_aside: Digests of those that were damaged.
    """

    def __init__(self, path: Path, *, is_log_left: bool) -> None:
        self.moved: set[str] = set()
        self.set_aside: set[str] = set()
        # the log of the old one is not to be played into it
        with (
            suppress(sqlite3.Error),
            closing(open_read_only(path, is_idle=is_log_left)) as file,
        ):
            self.set_aside = {each.digest for each in noted_incidents(file)}
            self.moved = {*_moves(file)}


def _moves(connection: sqlite3.Connection) -> list[str]:
    found = json.loads(read_note(connection, _MOVES) or "[]")
    return [each for each in found if isinstance(each, str)]


def _note(old: EventQueue, name: str) -> None:
    old.writer.execute("BEGIN IMMEDIATE")
    try:
        write_note(old.writer, _KEPT, name)
        old.writer.execute("COMMIT")
    except BaseException:
        if old.writer.in_transaction:
            old.writer.execute("ROLLBACK")
        raise


def _noted_name(old: EventQueue) -> str | None:
    try:
        return read_note(old.writer, _KEPT)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return None


def _is_empty(old: EventQueue) -> bool:
    try:
        return bool(old.writer.execute(_IS_EMPTY).fetchone()[0])
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return False  # nobody can say: it is kept


def _has_nothing(kept: Path) -> bool:
    """Whether whoever has begun to copy was killed before all of it was there."""
    try:
        with closing(sqlite3.connect(kept)) as file:  # what is half done is undone
            return not file.execute("PRAGMA page_count").fetchone()[0]
    except sqlite3.Error:
        return False
