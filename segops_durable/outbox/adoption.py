"""Moving all that waits from one outbox to another, whole, though it may be killed at any instant.

Two files cannot be written in one transaction. So what is moved goes in steps, and each has
two transactions: the target stores a lot and notes what of the source it is; the source then
removes exactly that. The next step's note takes the place of the last. Whoever was killed
between the two finds the note when they start again, and removes first. So at every instant a
row is in the source alone, or in the target with a note that it is, and nothing is sent from
the source meanwhile: the caller is its sender.

Batches in flight go first, as they are: they may have been accepted, so they keep their keys
and their rows. Then what is free, with its identities and times; then the dead letters. Rows
that are damaged become dead letters where they are, and go with those. Positions of jobs, and
what is known of loaded files, are copied where the target has none, so that no job starts
anew. The visitor stays the same if the target has never had one of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segops_durable.outbox.records.batch import Batch
from segops_durable.outbox.records.lanes import allow_lanes_found
from segops_durable.outbox.records.letters import Cause
from segops_durable.outbox.records.marks import Mark, mark
from segops_durable.outbox.records.notes import read_note, write_note
from segops_durable.outbox.records.rows import Row
from segops_durable.outbox.records.schema import (
    INSERT_ROW,
    LETTERS,
    SELECT,
    SELECT_LETTERS,
    SELECT_ROWS,
)
from segops_durable.outbox.records.seals import is_sealed, put, put_as_found
from segops_durable.outbox.records.tally import standing
from segops_durable.outbox.records.walking import HIGHEST_ID, LOWEST_ID, page_sql, read_page
from segops_durable.outbox.removal import bury_damaged, delete_known

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from segops_durable.outbox.store.store import Store

_PAGE = page_sql(SELECT_ROWS)
_LETTERS = page_sql(SELECT_LETTERS)
_BATCH = f"{SELECT_ROWS} WHERE identity = ? AND _id BETWEEN ? AND ? ORDER BY _id"
_DELETE_LETTER = f"DELETE FROM {LETTERS} WHERE _id = ?"


@dataclass(frozen=True)
class Adopted:
    """What was moved.

    Attributes:
        events: Waiting events.
        dead: Dead letters.
    """

    events: int = 0
    dead: int = 0


@dataclass(frozen=True)
class _Lot:
    """What one step moves, as the source knows it.

    Attributes:
        rows: What its rows are known by.
        letters: The numbers of its dead letters.
    """

    rows: Sequence[Sequence[Any]] = ()
    letters: Sequence[int] = ()


class Adoption:
    """Moves what waits in one outbox to another.

    Args:
        source: From where; the caller is its sender.
        target: Where to; it may be in use. Both are durable against power cuts.
        source_uuid: Which outbox the source is.
    """

    def __init__(self, source: Store, target: Store, source_uuid: str) -> None:
        self._source = source
        self._target = target
        self._note = f"adopting {source_uuid}"
        self._events = 0
        self._dead = 0

    def run(self) -> Adopted:
        """Move all that waits now; what is tracked into the source meanwhile stays there.

        Raises:
            StorageError: One of the files cannot be read or written; run it again.
        """
        self._finish_last_step()
        last_id = self._source.look(lambda connection: standing(connection).last_id)
        self._copy_notes()
        self._move_batches()
        while self._move_page(last_id):
            pass
        while self._move_letters():
            pass
        self._target.transact(self._remove_note)
        return Adopted(self._events, self._dead)

    # Steps

    def _move_batches(self) -> None:
        sql = f"{SELECT['in_flight']} ORDER BY first_id"
        for record in self._source.look(lambda connection: connection.execute(sql).fetchall()):
            found = Mark.of(record)
            rows = [] if found is None else self._source.look(_rows_of(found))
            if found is not None and _is_whole(rows, found):
                self._step(
                    lambda writer, rows=rows, found=found: _store_batch(writer, rows, found),  # type: ignore[misc]
                    _Lot(_known(rows)),
                )
        # their rows are gone; one that had lost a row before is no batch to the sender, either
        self._source.transact(lambda writer: writer.execute("DELETE FROM in_flight"))

    def _move_page(self, last_id: int) -> bool:
        rows = self._source.transact(lambda writer: _intact_page(writer, last_id))
        if rows is None:
            return False
        if rows:
            self._step(lambda writer: _store_rows(writer, rows), _Lot(_known(rows)))
        return True

    def _move_letters(self) -> bool:
        page = self._source.look(lambda connection: read_page(connection, _LETTERS, LOWEST_ID))
        if page:
            records = [_storable(record) for _, *record in page]
            self._step(
                lambda writer: put_as_found(writer, LETTERS, records),
                _Lot(letters=[number for number, *_ in page]),
            )
        return bool(page)

    def _step(self, store: Callable[[sqlite3.Connection], object], lot: _Lot) -> None:
        def store_and_note(writer: sqlite3.Connection) -> None:
            store(writer)
            allow_lanes_found(writer)
            write_note(writer, self._note, json.dumps(vars(lot)))

        self._target.transact(store_and_note)
        self._remove(lot)
        self._events += len(lot.rows)
        self._dead += len(lot.letters)

    def _finish_last_step(self) -> None:
        """Remove from the source what was stored in the target by one who was killed then."""
        text = self._target.look(lambda connection: read_note(connection, self._note))
        if text is not None:
            self._remove(_Lot(**json.loads(text)))

    def _remove(self, lot: _Lot) -> None:
        def remove(writer: sqlite3.Connection) -> None:
            stand = standing(writer)
            removed = delete_known(writer, [(row[0], row[1], row[2]) for row in lot.rows])
            stand.record(writer, removed=removed)
            writer.executemany(_DELETE_LETTER, [(each,) for each in lot.letters])

        self._source.transact(remove)

    def _remove_note(self, writer: sqlite3.Connection) -> None:
        writer.execute("DELETE FROM meta WHERE name = ?", (self._note,))

    # What is copied

    def _copy_notes(self) -> None:
        jobs, carried = (
            self._source.look(lambda connection, table=table: _sealed(connection, table))  # type: ignore[misc]
            for table in ("checkpoints", "carried")
        )
        visitor = self._source.look(lambda connection: read_note(connection, "anonymous_id"))

        def copy(writer: sqlite3.Connection) -> None:
            known = {record[0] for record in _sealed(writer, "checkpoints")}
            put(writer, "checkpoints", [each[:-1] for each in jobs if each[0] not in known])
            ends = {record[:2]: record[2] for record in _sealed(writer, "carried")}
            put(
                writer,
                "carried",
                [(*each[:2], max(each[2], ends.get(each[:2], 0))) for each in carried],
            )
            if visitor is not None and not standing(writer).last_id:
                write_note(writer, "anonymous_id", visitor)

        self._target.transact(copy)


def _sealed(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    found = connection.execute(SELECT[table]).fetchall()
    return [record for record in found if is_sealed(table, record)]


def _rows_of(found: Mark) -> Callable[[sqlite3.Connection], list[Row]]:
    ids = (found.identity, found.first_id, found.last_id)
    return lambda connection: [Row.of(each) for each in connection.execute(_BATCH, ids).fetchall()]


def _is_whole(rows: Sequence[Row], found: Mark) -> bool:
    return len(rows) == found.row_count and all(row.is_intact for row in rows)


def _intact_page(writer: sqlite3.Connection, last_id: int) -> list[Row] | None:
    """Read a page, without its damaged rows, which are buried; None after the last."""
    page = [Row.of(each) for each in read_page(writer, _PAGE, LOWEST_ID, min(last_id, HIGHEST_ID))]
    damaged = [row for row in page if not row.is_intact]
    if damaged:
        bury_damaged(writer, damaged)
    return [row for row in page if row.is_intact] if page else None


def _store_rows(writer: sqlite3.Connection, rows: Sequence[Row]) -> list[Row]:
    """Store rows as they are, under ids of the target's; return them with those."""
    stored = []
    for row in rows:
        row_id = writer.execute(INSERT_ROW, row[1:]).lastrowid
        stored.append(row._replace(id=row_id or 0))
    return stored


def _store_batch(writer: sqlite3.Connection, rows: Sequence[Row], found: Mark) -> None:
    mark(writer, Batch(tuple(_store_rows(writer, rows)), found.key, found.assigned))


def _storable(letter: Sequence[Any]) -> tuple[Any, ...]:
    """A letter as the table takes it: by damage its cause or its seal may read as NULL.

    It is shown as damaged: its seal does not fit, unless that very cause was what it had.
    """
    *whose, cause, reason, status, answer, seal = letter
    known = Cause.DAMAGED.value if cause is None else cause
    return (*whose, known, reason, status, answer, 0 if seal is None else seal)


def _known(rows: Sequence[Row]) -> list[tuple[int, int, float]]:
    return [(row.id, row.crc, row.tracked_at) for row in rows]
