"""Checkpoints: how far a job has come, committed with the rows that it came so far with."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from segops_durable.errors import CheckpointConflictError, ConfigurationError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from segops_durable.outbox.rows import Checkpoint
    from segops_durable.outbox.store import Store

_GET = "SELECT position FROM checkpoints WHERE name = ?"
_SET = "INSERT OR REPLACE INTO checkpoints (name, position, at) VALUES (?, ?, ?)"


def setting(checkpoint: Checkpoint) -> Callable[[sqlite3.Connection], object]:
    """Check a checkpoint; return what writes it down, within the caller's transaction.

    Raises:
        ConfigurationError: The name is no text, or the position is not JSON.
    """
    name, position, follows = checkpoint
    _check_name(name)
    try:
        text = json.dumps(position, allow_nan=False)
    except (TypeError, ValueError) as error:
        problem = f"checkpoint must have a position that JSON can carry ({error})"
        raise ConfigurationError(f"{problem}, got {position!r}", field="checkpoint") from None

    def set_it(writer: sqlite3.Connection) -> None:
        found = writer.execute(_GET, (name,)).fetchone()
        if follows is not None and (found is None or json.loads(found[0]) != follows):
            raise CheckpointConflictError(
                f"the checkpoint {name!r} was moved by somebody else",
                hint="Another process does the same job; let one of them finish",
            )
        writer.execute(_SET, (name, text, time.time()))

    return set_it


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        problem = f"checkpoint must have a name that is a text, got {name!r}"
        raise ConfigurationError(problem, field="checkpoint")


def read_checkpoint(store: Store, name: str) -> Any:  # noqa: ANN401 - whatever the job has stored
    """The position that was stored last under a name; None if there is none.

    Raises:
        ConfigurationError: The name is no text.
    """
    _check_name(name)
    found = store.read(_GET, (name,))
    return json.loads(found[0][0]) if found else None
