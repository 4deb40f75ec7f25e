"""The dead letters of a batch of which SegOps skipped events, and what is learnt of them later."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segops_durable.outbox.records.burial import clean_text
from segops_durable.outbox.records.letters import Cause, DeadLetter, letter_from_record
from segops_durable.outbox.records.schema import LETTERS, SELECT_LETTERS
from segops_durable.outbox.records.seals import is_sealed, seal_of
from segops_durable.outbox.records.tally import standing

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from segops_durable.outbox.store.store import Store

_SELECT = f"{SELECT_LETTERS} WHERE _id = ?"
_BATCH = (
    f"{SELECT_LETTERS} WHERE died_at = ? AND identity = ? AND cause = ? AND reason = ?"
    " ORDER BY _id LIMIT 1000"
)
_REFUSE = f"UPDATE {LETTERS} SET cause = ?, reason = ?, answer = ?, seal = ? WHERE _id = ?"
_DELETE = f"DELETE FROM {LETTERS} WHERE _id = ?"


@dataclass(frozen=True)
class SkippedBatch:
    """A batch that SegOps took with a 2xx, and of which it skipped some, or all.

    Attributes:
        letters: Those of its events that are in the dead letters.
        size: How many it had.
        skipped: How many SegOps skipped.
    """

    letters: tuple[DeadLetter, ...]
    size: int
    skipped: int

    @property
    def is_told_apart(self) -> bool:
        """Whether the letters are of one batch only, as far as anything tells."""
        return len(self.letters) <= self.size


class SkippedBatches:
    """Finds such batches, and writes down what is learnt of their events.

    Args:
        store: The open outbox file.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, number: int) -> SkippedBatch | None:
        """The batch that a dead letter is of; None if it is of none, or not there, or damaged."""
        return self._store.look(lambda connection: _batch_of(connection, number))

    def settle(self, refused: Mapping[int, str], delivered: Sequence[int]) -> None:
        """Write down which events SegOps skipped, and let those go that it has accepted.

        All of it is one transaction. What has changed since it was read stays as it is.

        Args:
            refused: Why, by the ids of the letters.
            delivered: The ids of those that were accepted; they were counted so at once.
        """

        def settle(writer: sqlite3.Connection) -> None:
            for number, why in refused.items():
                record = _skipped(writer, number)
                if record is not None:
                    _refuse(writer, number, record, clean_text(why))
            gone = [(each,) for each in delivered if _skipped(writer, each) is not None]
            before = standing(writer)
            writer.executemany(_DELETE, gone)
            before.record(writer)  # their numbers are not given again

        self._store.transact(settle)


def _batch_of(connection: sqlite3.Connection, number: int) -> SkippedBatch | None:
    found = connection.execute(_SELECT, (number,)).fetchone()
    if found is None or not is_sealed(LETTERS, found[1:]):
        return None
    _id, _row_id, _data, identity, _at, died_at, cause, reason, *_ = found
    counts = _counts_in(cause, reason)
    if counts is None:
        return None
    same = connection.execute(_BATCH, (died_at, identity, cause, reason)).fetchall()
    letters = [letter_from_record(each[0], each[1:]) for each in same]
    sound = tuple(each for each in letters if each.cause is not Cause.DAMAGED)
    return SkippedBatch(sound, *counts)


def _counts_in(cause: object, reason: object) -> tuple[int, int] | None:
    """How many events the batch had, and how many were skipped, as the letters' reason says."""
    if cause == Cause.SKIPPED.value and (found := re.match(r"(\d+) of (\d+) refused", str(reason))):
        return int(found[2]), int(found[1])
    if cause == Cause.REFUSED.value and (found := re.match(r"all (\d+) events were", str(reason))):
        return int(found[1]), int(found[1])
    return None


def _skipped(writer: sqlite3.Connection, number: int) -> tuple[Any, ...] | None:
    """A letter's record, behind its id, if it is one of a skipped batch still."""
    found = writer.execute(_SELECT, (number,)).fetchone()
    if found is None or not is_sealed(LETTERS, found[1:]):
        return None
    record: tuple[Any, ...] = found[1:]
    return None if _counts_in(record[5], record[6]) is None else record


def _refuse(writer: sqlite3.Connection, number: int, record: tuple[Any, ...], why: str) -> None:
    row_id, data, identity, tracked_at, died_at, _cause, _reason, status, _answer, _seal = record
    cause, reason = Cause.REFUSED.value, f"SegOps skipped it: {why}"
    values = (row_id, data, identity, tracked_at, died_at, cause, reason, status, why)
    writer.execute(_REFUSE, (cause, reason, why, seal_of(LETTERS, values), number))
