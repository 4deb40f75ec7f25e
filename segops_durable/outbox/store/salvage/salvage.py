"""Making a new outbox of what is left of a damaged one.

Every page is read for itself, so the cost is bounded by the size of the file, whatever its
ids say. A row that is as it was stored goes over with its id; one that is there, but is not
what it was, becomes a dead letter; what is in neither is counted as lost.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from segops_durable.outbox.records.ownership import make_successor
from segops_durable.outbox.records.schema import LETTERS, QUEUE
from segops_durable.outbox.records.tally import Tally, count_rows, newest_id
from segops_durable.outbox.store.salvage.notes import Notes
from segops_durable.outbox.store.salvage.rows import Rows

if TYPE_CHECKING:
    import sqlite3

    from segops_durable.outbox.records.incidents import Incident
    from segops_durable.outbox.store.salvage.wreck import Wreck

_NEAR = 1 << 20  # more ids are not given between two notes of how far they have come
_UNKNOWN_END = 1 << 32  # no outbox has come so far; what says so is damaged


def salvage(source: Wreck, target: sqlite3.Connection) -> Incident:
    """Copy all that can be read into a new outbox, in one transaction; say what it was."""
    target.execute("BEGIN IMMEDIATE")
    try:
        found = _copy_all(source, target)
    except BaseException:
        target.execute("ROLLBACK")
        raise
    target.execute("COMMIT")
    return found


def _copy_all(source: Wreck, target: sqlite3.Connection) -> Incident:
    rows, notes = Rows(target), Notes()
    for record in source.pages.records():
        if not rows.add(record):
            notes.add(record)
    noted = source.noted(notes.uuid)
    tally = notes.tally
    said = notes.sequence(QUEUE) if noted is None else None  # it has no seal
    known_id = max(tally.last_id if tally else 0, noted.last_id if noted else 0)
    # the tally alone knows nothing of what came since the last removal, and may be lost by now
    last_id = None if noted is None and said is None else _last(said, known_id)
    if last_id is not None:
        last_id = rows.last_id(last_id)
    waiting, removed = None, 0
    if last_id is not None and (tally or noted):
        removed = max(tally.removed if tally else 0, noted.removed if noted else 0)
        waiting = max(0, last_id - removed)
    if waiting is not None and rows.is_short_of(waiting) and not rows.has_up_to(removed):
        for record in source.pages.left_over():  # rows alone: an old note would be believed
            if (record.row_id or 0) > removed:  # they leave in order, so this one has not
                rows.add(record)
    damaged = rows.settle(last_id, waiting)
    letters = notes.copy(target, is_same=last_id is not None)
    lost = None if waiting is None else max(0, waiting - rows.count - damaged)
    known = tally or Tally()
    last_letter = _last(notes.sequence(LETTERS), known.last_letter)
    _count(target, known._replace(lost=known.lost + (lost or 0), last_letter=last_letter))
    text = f"{rows.count} waiting events and {letters} dead letters were saved"
    if damaged:
        text += f", {damaged} damaged ones are in the dead letters"
    incident = replace(source.incident, text=text, saved=rows.count, lost=lost)
    make_successor(target)
    incident.write(target)
    return incident


def _count(target: sqlite3.Connection, tally: Tally) -> None:
    """Make the counters fit what is there; no id is given again that is known to have been."""
    last_id = max(tally.last_id, newest_id(target, QUEUE))
    last_letter = max(tally.last_letter, newest_id(target, LETTERS))
    tally.fitted(count_rows(target), last_id, last_letter).write_anew(target)


def _last(said: int | None, sure: int) -> int:
    """The newest id ever given, of all that says so.

    Args:
        said: What SQLite has noted, in a file of an older version; it has no seal.
        sure: What is noted with a checksum, rows that came since apart.
    """
    if said is not None and not 0 <= said <= (sure + _NEAR if sure else _UNKNOWN_END):
        said = None
    return max(sure, said or 0)
