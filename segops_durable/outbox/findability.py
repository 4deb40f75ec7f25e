"""Making sure that rows are found by what they are looked for by: their ids, their identity.

In a damaged file an index may lead past a row that a scan sees. Such a row would wait for
ever, or be sent again and again though it was deleted. Whoever misses a row asks here, and
the error that is raised has the file salvaged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segops_durable.outbox.records.columns import SELECT_COLUMNS, Rows
from segops_durable.outbox.records.rows import Row
from segops_durable.outbox.records.schema import QUEUE, SELECT_ROWS
from segops_durable.outbox.records.walking import out_of_order

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

RowKey = tuple[int, int, float]
"""What a row is known by: its id, its checksum, and when it was tracked."""

BY_INDEX = " AND identity <> ''"
"""Lets SQLite use the index on identities, which leaves out the empty one."""

FIRST = f"SELECT _id, identity FROM {QUEUE} ORDER BY _id LIMIT 1"
"""The oldest row of all."""

_DAMAGED_TEXT = "\ufffd"


def rows_of(writer: sqlite3.Connection, identity: str, tail: str, *parameters: Any) -> Rows:  # noqa: ANN401 - SQL parameters
    """Read an identity's rows.

    Args:
        writer: The writing connection.
        identity: Whose.
        tail: The rest of the SELECT: which of them.
        *parameters: Those of the rest.

    Raises:
        sqlite3.DatabaseError: They are not in the order of their ids.
    """
    sql = f"{SELECT_COLUMNS} WHERE identity = ?{BY_INDEX if identity else ''}{tail}"
    rows = Rows.read(writer.execute(sql, (identity, *parameters)).fetchall(), identity)
    if [*rows.ids] != sorted({*rows.ids}):
        raise out_of_order()  # and by its id another row would be deleted
    return rows


def check_index(writer: sqlite3.Connection, identity: str) -> None:
    """Make sure that the oldest row of all, if it is of that identity, is found by it.

    Raises:
        sqlite3.DatabaseError: It is not.
    """
    first = writer.execute(FIRST).fetchone()
    if not identity or first is None or first[1] != identity:
        return
    sql = f"SELECT min(_id) FROM {QUEUE} WHERE identity = ?{BY_INDEX}"
    if writer.execute(sql, (identity,)).fetchone()[0] != first[0]:
        raise out_of_order()


def check_deletion(writer: sqlite3.Connection, wanted: set[RowKey]) -> None:
    """Make sure that rows which could not be deleted are not there.

    In a damaged file a search by id may miss a row that a scan sees, and sends, for ever.

    Raises:
        sqlite3.DatabaseError: One is there.
    """
    sql = f"SELECT _id, crc, timestamp FROM {QUEUE} WHERE +_id BETWEEN ? AND ?"  # +: a scan
    ids = [known[0] for known in wanted]
    found = writer.execute(sql, (min(ids), max(ids))).fetchall()
    if wanted.intersection(found):
        raise out_of_order()


def nobodys(writer: sqlite3.Connection) -> Sequence[Row]:
    """Read the oldest row of all if it is of no identity that anyone could ask for."""
    first = writer.execute(FIRST).fetchone()
    if first is None or _can_be_asked_for(writer, *first):
        return []
    found = writer.execute(f"{SELECT_ROWS} WHERE _id = ?", first[:1]).fetchall()
    return [Row.of(each) for each in found]


def _can_be_asked_for(writer: sqlite3.Connection, row_id: int, identity: object) -> bool:
    """Whether a row is found by the identity that it is read with: damaged text is not."""
    if not isinstance(identity, str) or _DAMAGED_TEXT not in identity:
        return isinstance(identity, str)
    sql = f"SELECT 1 FROM {QUEUE} WHERE _id = ? AND +identity = ?"
    return writer.execute(sql, (row_id, identity)).fetchone() is not None
