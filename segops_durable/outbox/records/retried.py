"""Which rows were dead letters, and since when they wait again: their age counts from then."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from segops_durable.outbox.records.notes import read_note, write_note
from segops_durable.outbox.records.rows import safe_moment
from segops_durable.outbox.records.schema import QUEUE

if TYPE_CHECKING:
    import sqlite3

    from segops_durable.system.clock import Moment

_NAME = "retried"
_MOST = 100


class Retried(NamedTuple):
    """Rows that were put back together.

    Attributes:
        first: The id of the first.
        last: The id of the last.
        moment: When that was.
    """

    first: int
    last: int
    moment: Moment


def retried(connection: sqlite3.Connection) -> list[Retried]:
    """What was put back and may still wait, oldest first."""
    text = read_note(connection, _NAME)
    try:
        found = [] if text is None else json.loads(text)
        return [Retried(int(first), int(last), safe_moment(*at)) for first, last, at in found]
    except (ValueError, TypeError):
        return []


def note_retried(writer: sqlite3.Connection, count: int, moment: Moment) -> None:
    """Note that the newest rows were put back, within the caller's transaction."""
    oldest, newest = writer.execute(f"SELECT min(_id), max(_id) FROM {QUEUE}").fetchone()
    new = Retried(newest - count + 1, newest, moment)
    before = [each for each in retried(writer) if each.last >= oldest]
    if before and before[-1].last + 1 == new.first:
        new = new._replace(first=before.pop().first)
    write_note(writer, _NAME, json.dumps([*before, new][-_MOST:]))
