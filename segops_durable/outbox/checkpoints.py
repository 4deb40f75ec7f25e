"""Checkpoints: how far a job has come, committed with the rows that it came so far with."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary, ref

from segops_durable.errors import (
    CheckpointConflictError,
    ConfigurationError,
    DamagedCheckpointError,
)
from segops_durable.errors.plain_text import shown
from segops_durable.events import is_unicode, words_of
from segops_durable.outbox.records.schema import SELECT
from segops_durable.outbox.records.seals import is_sealed, put

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from segops_durable.outbox.records.rows import Checkpoint
    from segops_durable.outbox.store.boundary import Connection
    from segops_durable.outbox.store.store import Store


_ALL = SELECT["checkpoints"]
_GET = f"{_ALL} WHERE name = ?"

Version: TypeAlias = "tuple[ref[Connection], int]"

_looked_through: WeakKeyDictionary[sqlite3.Connection, tuple[int, set[tuple[Any, ...]]]] = (
    WeakKeyDictionary()
)
"""Connections that have found all records sound: the file's state then, as of others; and those."""


def setting(checkpoint: Checkpoint, path: Path) -> Callable[[sqlite3.Connection], object]:
    """Check a checkpoint; return what writes it down, within the caller's transaction.

    Raises:
        ConfigurationError: The name is no text, or the position is not JSON.

    What is returned raises `CheckpointConflictError`, or `DamagedCheckpointError` where it has
    to be the last position and nobody can say which that is.
    """
    name, text = checkpoint.name, encoded_position(checkpoint)

    def set_it(writer: sqlite3.Connection) -> None:
        check_follows(checkpoint, lambda: _position(writer, name, path))
        put(writer, "checkpoints", [(name, text, time.time())])

    return set_it


def encoded_position(checkpoint: Checkpoint) -> str:
    """The position of a checkpoint, as it is stored.

    Raises:
        ConfigurationError: The name is no text, or the position is not JSON.
    """
    check_job(checkpoint.name)
    try:
        return json.dumps(checkpoint.position, allow_nan=False)
    except Exception as error:  # noqa: BLE001 - methods of the caller's values may raise anything
        problem = f"checkpoint must have a position that JSON can carry ({words_of(error)})"
        got = shown(checkpoint.position)
        raise ConfigurationError(f"{problem}, got {got}", field="checkpoint") from None


def check_follows(checkpoint: Checkpoint, last: Callable[[], Any]) -> None:
    """Refuse a checkpoint that does not follow the last one, where it has to.

    Args:
        checkpoint: What is to be stored.
        last: Gives the position that was stored last; None if there is none.

    Raises:
        CheckpointConflictError: It does not follow that.
    """
    is_asked = checkpoint.is_first or checkpoint.follows is not None
    if is_asked and last() != checkpoint.follows:
        raise CheckpointConflictError(
            f"the checkpoint {checkpoint.name!r} was moved by somebody else",
            hint="Another process does the same job; let one of them finish",
        )


class Checkpoints:
    """Reads how far jobs have come; `GroupCommit.append` writes it down with their events.

    Args:
        store: The open outbox file.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def position(self, name: str) -> Any:  # noqa: ANN401 - whatever the job has stored
        """The position that was stored last under a name; None if there is none.

        Raises:
            ConfigurationError: The name is no text.
            DamagedCheckpointError: The position, or whose it is, is not what was written.
        """
        check_job(name)
        return self._store.look(lambda connection: _position(connection, name, self._store.path))

    def last(self, name: str) -> Any:  # noqa: ANN401 - whatever the job has stored
        """The position as `position` has it, for one of many jobs, between commits of this process.

        A damaged name is looked for among all: here not after each such commit, but after those of
        others.

        Raises:
            ConfigurationError: As `position`.
            DamagedCheckpointError: As `position`.
            StorageError: The file cannot be read, or another process keeps it.
        """
        check_job(name)
        path = self._store.path
        return self._store.write(lambda queue: _position(queue.writer, name, path))

    def positions(
        self,
        prefix: str,
        before: Mapping[str, Any] | None = None,
        seen: dict[str, Sequence[Any]] | None = None,
    ) -> dict[str, Any]:
        """All positions whose names begin so, by name.

        Args:
            prefix: What they begin with.
            before: What an earlier call has found. Defaults to nothing.
            seen: The records that it was found in, by name, which are kept here for the next
                call: one that is as it was is not read again. Defaults to none.

        Raises:
            DamagedCheckpointError: One is not what was written, whatever it was called.
        """
        found: dict[str, Any] = {}
        known = before or {}
        for record in self._store.read(_ALL):
            name = record[0]
            if seen is not None and name in known and seen.get(name) == record:
                found[name] = known[name]
                continue
            if not is_sealed("checkpoints", record):
                raise _damaged(shown(name), self._store.path)
            if name.startswith(prefix):
                found[name] = json.loads(record[1])
                if seen is not None:
                    seen[name] = record
        return found

    def version(self) -> Version:
        """What stays equal until another process has written, or the file is another one.

        Whoever has read all positions knows by it that they are what they were, but for those
        that this process has stored since.

        Raises:
            StorageError: The outbox cannot be read.
            ClosedError: It is closed.
        """
        return self._store.write(lambda queue: (ref(queue.writer), _changes(queue.writer)))


def _position(connection: sqlite3.Connection, name: str, path: Path) -> Any:  # noqa: ANN401 - whatever the job has stored
    found = connection.execute(_GET, (name,)).fetchone()
    if found is None:
        found = _elsewhere(connection, name, path)
    if found is None:
        return None
    try:
        position = json.loads(found[1])
    except (TypeError, ValueError, RecursionError):
        raise _damaged(name, path) from None
    if not is_sealed("checkpoints", found):
        raise _damaged(name, path)
    return position


def _elsewhere(connection: sqlite3.Connection, name: str, path: Path) -> tuple[Any, ...] | None:
    """Look for a name that a search has not found: a damaged one may be it.

    To take the job for a new one would store all of its events once more.
    """
    changes = _changes(connection)
    before, sound = _looked_through.get(connection, (None, set()))
    if before == changes:  # of ten thousand files each asks
        return None
    records: list[tuple[Any, ...]] = connection.execute(_ALL).fetchall()
    if not all(record in sound or is_sealed("checkpoints", record) for record in records):
        raise _damaged(name, path)
    _looked_through[connection] = changes, {*records}
    return next((record for record in records if record[0] == name), None)


def _changes(connection: sqlite3.Connection) -> int:
    """A number that changes when another connection has written."""
    found: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return found


def _damaged(name: str, path: Path) -> DamagedCheckpointError:
    return DamagedCheckpointError(
        f"the checkpoint of the job {name!r} is damaged, or one that may be it",
        path=str(path),
        job=name,
        hint="Nothing was stored. Find out how far the job has come, and store that: "
        "track_many([], checkpoint=(job, position))",
    )


def check_job(name: object) -> None:
    """Refuse what is no name of a job.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(name, str) or not name or not is_unicode(name):
        problem = f"checkpoint must have a name that is a text, got {shown(name)}"
        raise ConfigurationError(problem, field="checkpoint")
