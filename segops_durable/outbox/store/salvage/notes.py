"""All but the waiting events of a damaged outbox, put into a new one.

A record is believed if its seal is that of what it says. Where none in the file is sealed,
it is of an older version, and they are believed as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.outbox.disk.pages import TABLE_LEAF
from segops_durable.outbox.records.burial import keep_letter
from segops_durable.outbox.records.schema import COLUMNS, LETTERS, NEXT_LETTER, SEALED
from segops_durable.outbox.records.seals import is_sealed, put, seal_of
from segops_durable.outbox.records.tally import MOST_ID, Tally

if TYPE_CHECKING:
    import sqlite3

    from segops_durable.outbox.disk.pages import Record

_ON_DISK = {
    "tally": (
        *("removed", "accepted", "last_accepted_at", "dropped"),
        *("lost", "last_id", "last_letter", "seal"),
    ),
    "in_flight": ("last_id", "row_count", "identity", "batch_key", "assigned", "seal"),
    LETTERS: (
        *("row_id", "data", "identity", "tracked_at", "died_at"),
        *("reason", "status", "answer", "cause", "seal"),
    ),
    "meta": ("name", "value", "seal"),
    "checkpoints": ("name", "position", "at", "seal"),
    "carried": ("source", "first_id", "last_id", "seal"),
}
"""The order of the columns in the file, behind the row's id."""

_ABSENT = {"dropped": 0, "lost": 0, "last_id": 0, "last_letter": 0, "assigned": ""}
"""What stands for the columns that older versions did not have."""

_REAL = {"last_accepted_at", "tracked_at", "died_at", "at"}
_LETTER_TYPES: tuple[Any, ...] = (
    *(int, bytes, str, float, float),
    *(str, str, (int, type(None)), str, int),
)
"""Of the columns of a letter, in the order of its seal."""

_KEYS = {"meta": 1, "checkpoints": 1, "carried": 2, "in_flight": 1, "tally": 0}
_IDENTITIES = {"uuid"}
_INSERT_LETTER = f"""
INSERT OR IGNORE INTO {LETTERS} (_id, {COLUMNS[LETTERS]})
VALUES (coalesce(?, {NEXT_LETTER}), {", ".join("?" * len((*SEALED[LETTERS], "seal")))})
"""


class _Note(NamedTuple):
    """A record in the order of its table's seal."""

    row_id: int | None
    values: tuple[Any, ...]
    is_current: bool
    is_sealed: bool


class Notes:
    """Takes records as they are found, the certain ones before the others."""

    def __init__(self) -> None:
        self._found: dict[str, dict[Any, _Note]] = {table: {} for table in _ON_DISK}
        self._sequences: dict[str, int] = {}

    def add(self, record: Record) -> None:
        """Take a record, if it is one that is kept."""
        values = record.values
        if record.kind == TABLE_LEAF and len(values) == 2:  # noqa: PLR2004 - a name and a number
            name, number = values
            if isinstance(name, str) and isinstance(number, int):
                self._sequences.setdefault(name, number)
            return
        table = _table_of(record)
        if table is None:
            return
        note = _note(table, record)
        known = self._found[table]
        key = note.values[: _KEYS[table]] if table in _KEYS else (note.row_id, note.values[:2])
        best = known.get(key)
        if best is None or (note.is_sealed, note.is_current) > (best.is_sealed, best.is_current):
            known[key] = note

    @property
    def is_of_old(self) -> bool:
        """Whether the file is of a version whose records had no seals."""
        return not any(each.is_sealed for found in self._found.values() for each in found.values())

    @property
    def uuid(self) -> str:
        """The outbox's UUID; empty where it cannot be read."""
        return next((value for name, value in self._believed("meta") if name == "uuid"), "")

    @property
    def tally(self) -> Tally | None:
        """The counters; None where they cannot be read."""
        for note in self._found["tally"].values():
            sealed = Tally.of(note.values)
            if sealed is not None or self.is_of_old:
                return sealed or Tally.possible(note.values)
        return None

    def sequence(self, table: str) -> int | None:
        """What SQLite noted as the newest id of a table; it has no seal."""
        return self._sequences.get(table)

    def copy(self, target: sqlite3.Connection, *, is_same: bool) -> int:
        """Write all that is believed into a new outbox; return how many dead letters there were.

        Args:
            target: The new outbox, within a transaction.
            is_same: Whether it goes on as the same outbox. If not, ids may be given again, so
                that the batches' keys have to start anew.
        """
        aside = {"schema", "check", "lost", *(() if is_same else _IDENTITIES)}
        put(target, "meta", [each for each in self._believed("meta") if each[0] not in aside])
        for table in ("checkpoints", "carried", *(("in_flight",) if is_same else ())):
            put(target, table, self._believed(table))
        return self._copy_letters(target)

    def _copy_letters(self, target: sqlite3.Connection) -> int:
        is_of_old = self.is_of_old
        count = 0
        for note in self._found[LETTERS].values():
            values = note.values
            if is_of_old:
                values = (*values[:-1], seal_of(LETTERS, values[:-1]))
            is_whole = note.is_sealed or (is_of_old and all(map(isinstance, values, _LETTER_TYPES)))
            row_id = note.row_id if 0 < (note.row_id or 0) <= MOST_ID else None
            if is_whole and target.execute(_INSERT_LETTER, (row_id, *values)).rowcount:
                count += 1
            elif note.is_current:  # damaged, or its number is another's
                keep_letter(target, values if is_whole else None, values)
        return count

    def _believed(self, table: str) -> list[tuple[Any, ...]]:
        is_of_old = self.is_of_old
        found = self._found[table].values()
        return [each.values[:-1] for each in found if each.is_sealed or is_of_old]


def _table_of(record: Record) -> str | None:
    """Whose record it is, by the types of its columns."""
    found: Any = record.values
    width = len(found)
    kinds = [type(each) for each in found]
    if record.kind != TABLE_LEAF:
        if kinds[:2] == [str, str] and width <= len(_ON_DISK["checkpoints"]):
            is_meta = width == 2 or kinds[2:] == [int]  # noqa: PLR2004 - a name and a value
            return "meta" if is_meta else "checkpoints"
        return "carried" if kinds[:3] == [str, int, int] else None
    if width and found[0] is not None:
        return None
    if kinds[1:2] == [int] and bytes in kinds[2:3] and width > len(_ON_DISK["in_flight"]):
        return LETTERS
    if kinds[1:3] == [int, int]:
        return "in_flight" if str in kinds[3:5] else "tally"
    is_one = width == len(_ON_DISK[LETTERS]) + 1 and record.is_current and str in kinds
    return LETTERS if is_one else None


def _note(table: str, record: Record) -> _Note:
    """Put a record's columns in the order of its table's seal."""
    columns = record.values[1:] if record.kind == TABLE_LEAF else record.values
    named: dict[str, Any] = {**_ABSENT, **dict(zip(_ON_DISK[table], columns, strict=False))}
    if table == "in_flight":
        named["first_id"] = record.row_id
    if table == LETTERS and "cause" not in named:
        named["cause"] = "damaged" if named.get("status") is None else "skipped"
    for name in _REAL & named.keys():
        if isinstance(named[name], int):  # as which SQLite stores a whole one
            named[name] = float(named[name])
    values = tuple(named.get(name) for name in (*SEALED[table], "seal"))
    return _Note(record.row_id, values, record.is_current, is_sealed(table, values))
