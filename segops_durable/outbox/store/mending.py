"""Mending records where they are: what needs no new file, since it follows from the rows.

- The counters are derived anew from the rows that are there.
- A mark of a batch in flight is dropped: its rows are taken anew.
- A note (when to retry, which key, who the outbox is) is dropped; its owner makes it anew.

Dead letters, checkpoints and what was loaded are not mended: nothing says what they were.
Whoever reads them finds out, and does not believe them.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.outbox.records.marks import Mark
from segops_durable.outbox.records.schema import (
    LANES_VERSION,
    LETTERS,
    QUEUE,
    SCHEMA_VERSION,
    SELECT,
    SHARED_VERSION,
)
from segops_durable.outbox.records.seals import (
    DamagedRecordError,
    is_sealed,
    put,
    put_as_found,
)
from segops_durable.outbox.records.tally import MOST_ID, Tally, count_rows, standing, tally_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.outbox.store.ledger import Throughput

_MENDABLE = {"in_flight": "what is said of batches in flight", "meta": "the notes"}


class Mended(NamedTuple):
    """What was found and mended.

    Attributes:
        what: In words.
        lost: Waiting events that are not there any more.
    """

    what: str
    lost: int = 0


def check_records(connection: sqlite3.Connection) -> None:
    """Look at all records that can be mended; the cost does not grow with what waits.

    Raises:
        DamagedRecordError: One of them is not what was written.
    """
    standing(connection)
    for table, name in _MENDABLE.items():
        records = connection.execute(SELECT[table]).fetchall()
        if not all(_is_sound(table, record) for record in records):
            raise DamagedRecordError(f"{name} are not what was written")


def mend_records(
    writer: sqlite3.Connection, noted: Throughput | None = None, *, is_certain: bool = False
) -> list[Mended]:
    """Mend in a transaction of its own what is damaged; say what it was.

    Args:
        writer: The writing connection.
        noted: What was noted outside the file of how it stood; None if nothing was.
        is_certain: Whether something is known to be wrong that `check_records` may not find: a
            wrong count shows only where the rows are counted. Defaults to False.

    Raises:
        DamagedRecordError: It is there still, so the file itself has to be mended.
    """
    if not is_certain and _is_all_well(writer):
        return []
    writer.execute("BEGIN IMMEDIATE")
    try:
        found = [_drop_damaged(writer, table) for table in _MENDABLE]
        put(writer, "meta", [("schema", str(_version_of(writer)))])
        found.append(mend_numbers(writer, noted=noted))
        _check_none_is_lost(found)
        check_records(writer)
    except BaseException:
        writer.execute("ROLLBACK")
        raise
    writer.execute("COMMIT")
    return [each for each in found if each is not None]


def _check_none_is_lost(found: Sequence[Mended | None]) -> None:
    """Leave rows that a search does not find to be looked for page by page, and counted then."""
    lost = sum(each.lost for each in found if each is not None)
    if lost:
        raise DamagedRecordError(f"{lost} waiting events are not in it any more")


def _version_of(connection: sqlite3.Connection) -> int:
    """One of the versions that a file may have while it is open."""
    version: int
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return version if version in {SHARED_VERSION, LANES_VERSION} else SCHEMA_VERSION


def _is_all_well(connection: sqlite3.Connection) -> bool:
    try:
        check_records(connection)
    except DamagedRecordError:
        return False
    return True


def mend_numbers(
    writer: sqlite3.Connection, unsealed: Tally | None = None, noted: Throughput | None = None
) -> Mended | None:
    """Derive the counters from the rows, within the caller's transaction.

    Args:
        writer: The writing connection.
        unsealed: What the counters are taken for, where a file has no seals yet.
        noted: What was noted outside the file of how it stood; None if nothing was.
    """
    record = tally_record(writer)
    tally = unsealed or Tally.of(record)
    believed = tally or Tally.possible(record)
    has_seal = tally is not None and unsealed is None
    known = believed.last_id if has_seal else None
    if noted is not None:
        known = max(known or 0, noted.last_id)
    rows = _mend_ids(writer, QUEUE, believed.last_id if known is None else known)
    letters = _mend_ids(writer, LETTERS, believed.last_letter)
    count = count_rows(writer)
    is_right = tally is not None and tally.removed == rows.last - count
    if is_right and unsealed is None and not (rows.are_new or letters.are_new):
        return None
    left = max(believed.removed, noted.removed if noted else 0)
    lost = max(0, rows.given - left - count) if tally is not None else 0
    if lost:
        _check_structure(writer)
    with_lost = believed._replace(lost=believed.lost + lost)
    with_lost.fitted(count, rows.last, letters.last).write_anew(writer)
    return Mended("ids" if is_right else "the counters", lost)


def _check_structure(connection: sqlite3.Connection) -> None:
    """Make sure that rows which are not found are not there; it reads all of the file.

    Raises:
        sqlite3.DatabaseError: The file itself is damaged: what can be read of it is to be saved.
    """
    found = connection.execute("PRAGMA quick_check(1)").fetchall()
    if [row[0] for row in found] != ["ok"]:
        raise sqlite3.DatabaseError(f"malformed: {found[0][0]}")


class _Ids(NamedTuple):
    """Which ids a table has given.

    Attributes:
        last: The newest ever given.
        given: How many were given: damage passes over some.
        are_new: Whether rows were given others.
    """

    last: int
    given: int
    are_new: bool


def _mend_ids(writer: sqlite3.Connection, table: str, known: int) -> _Ids:
    """Give rows whose ids cannot be theirs others; none is given twice.

    Args:
        writer: The writing connection.
        table: Whose ids they are.
        known: The newest ever given, rows that came since apart.
    """
    sql = f"SELECT count(*), max(_id) FROM {table} WHERE _id > ? AND _id <= {MOST_ID}"
    since, newest = writer.execute(sql, (known,)).fetchone()
    last = newest or known
    strays = writer.execute(f"SELECT _id FROM {table} WHERE _id < 1 OR _id > {MOST_ID}").fetchall()
    for (stray,) in strays:  # or no id would be left for those that come
        last += 1
        changed = writer.execute(f"UPDATE {table} SET _id = ? WHERE _id = ?", (last, stray))
        if changed.rowcount != 1:
            raise DamagedRecordError("rows cannot be found by their ids")
    return _Ids(last, known + since, bool(strays))


def _drop_damaged(writer: sqlite3.Connection, table: str) -> Mended | None:
    """Write a small table anew without the records that are not what was written.

    All of it: a damaged name is not found by what it says.
    """
    records = writer.execute(SELECT[table]).fetchall()
    sound = [record for record in records if _is_sound(table, record)]
    if len(sound) == len(records):
        return None
    writer.execute(f"DELETE FROM {table}")
    put_as_found(writer, table, sound)
    return Mended(_MENDABLE[table])


def _is_sound(table: str, record: Sequence[Any]) -> bool:
    return Mark.of(record) is not None if table == "in_flight" else is_sealed(table, record)
