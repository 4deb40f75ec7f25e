"""Checkpoints: how far a job has come, committed with the rows that it came so far with."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from segops_durable.errors import ConfigurationError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from segops_durable.outbox.rows import Checkpoint
    from segops_durable.outbox.store import Store

_SET = "INSERT OR REPLACE INTO checkpoints (name, position, at) VALUES (?, ?, ?)"


def setting(checkpoint: Checkpoint) -> Callable[[sqlite3.Connection], object]:
    """Check a checkpoint; return what writes it down, within the caller's transaction.

    Raises:
        ConfigurationError: The name is no text, or the position is not JSON.
    """
    name, position = checkpoint
    _check_name(name)
    try:
        text = json.dumps(position, allow_nan=False)
    except (TypeError, ValueError) as error:
        problem = f"checkpoint must have a position that JSON can carry ({error})"
        raise ConfigurationError(f"{problem}, got {position!r}", field="checkpoint") from None
    return lambda writer: writer.execute(_SET, (name, text, time.time()))


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
    found = store.read("SELECT position FROM checkpoints WHERE name = ?", (name,))
    return json.loads(found[0][0]) if found else None
