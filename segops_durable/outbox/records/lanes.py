"""The version of a file that has events with a priority: what is older would not send them.

It would take them for those of another kind of key, and leave them. So such a file is refused by
what does not know of lanes. A file that never had any stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.identity import lanes_of
from segops_durable.outbox.records.notes import write_note
from segops_durable.outbox.records.schema import LANES_VERSION, QUEUE, SCHEMA_VERSION

if TYPE_CHECKING:
    import sqlite3

_IS_LANE = f"SELECT 1 FROM {QUEUE} WHERE identity <> '' AND identity BETWEEN '{{0}} ' AND '{{0}}!'"
_HAS_LANES = f"SELECT EXISTS ({_IS_LANE.format('high')}) OR EXISTS ({_IS_LANE.format('low')})"
"""One by one: with OR between them SQLite would look at all that is in the index."""

SECRET_LANES = lanes_of("")
"""Those of events that were tracked under a secret key."""


def allow_lanes(writer: sqlite3.Connection) -> None:
    """Have older versions refuse the file, within the caller's transaction.

    One that has it open goes on, and leaves those events to others. A file that is of an even
    older version, as somebody has it open who would not know this one, waits for its own step.
    """
    (version,) = writer.execute("PRAGMA user_version").fetchone()
    if version == SCHEMA_VERSION:
        write_note(writer, "schema", str(LANES_VERSION))
        writer.execute(f"PRAGMA user_version = {LANES_VERSION}")


def allow_lanes_found(writer: sqlite3.Connection) -> None:
    """The same, if events with a priority wait."""
    if writer.execute(_HAS_LANES).fetchone()[0]:
        allow_lanes(writer)
