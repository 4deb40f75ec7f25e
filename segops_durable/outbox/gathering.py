"""Which rows a new batch is made of: the oldest that are in none, as far as they fit."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from segops_durable.outbox.findability import BY_INDEX, FIRST, check_index, rows_of
from segops_durable.outbox.records.batch import body_size
from segops_durable.outbox.records.marks import first_query
from segops_durable.outbox.records.schema import IS_FREE, QUEUE
from segops_durable.outbox.records.walking import HIGHEST_ID, LOWEST_ID, out_of_order

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from segops_durable.outbox.records.batch import Take
    from segops_durable.outbox.records.columns import Rows
    from segops_durable.outbox.records.rows import Row

_FREE = f"""
WITH RECURSIVE step (id, behind) AS (
    VALUES ({LOWEST_ID}, {LOWEST_ID})
    UNION ALL
    SELECT row._id, coalesce((
        SELECT last_id FROM in_flight
        WHERE first_id <= row._id AND in_flight.identity = row.identity
        ORDER BY first_id DESC LIMIT 1
    ), 0)
    FROM step JOIN {QUEUE} AS row ON row._id = (
        SELECT _id FROM {QUEUE} WHERE identity = ?{{by_index}} AND _id > step.behind
        ORDER BY _id LIMIT 1
    )
    WHERE step.behind >= step.id
)
SELECT id FROM step WHERE behind < id
"""
"""From each batch to the row behind it: to look at each row whether it is in one costs 0.5 us."""

_FREE_BY_ROW = f"""
SELECT _id FROM {QUEUE} AS row
WHERE identity = ?{{by_index}} AND {IS_FREE} ORDER BY _id LIMIT 1
"""
"""The same by each row in its place: one whose id is damaged is there, but no search finds it."""

_NEXT_MARK = "SELECT min(first_id) FROM in_flight WHERE identity = ? AND first_id > ?"


def is_worth_taking(read: Callable[..., list[Any]], take: Take) -> bool:
    """Whether there may be something to take: an idle outbox is not written to.

    Args:
        read: Runs a SELECT.
        take: What would be taken.
    """
    if read(*first_query(take.identity, take.aside)):
        return True
    free = read(*free_query(take))
    if free:
        return bool(free[0][0] <= take.up_to)
    first = read(FIRST)
    # damage: nobody's row is at the head, or one that is not found where it should be
    if first and (not isinstance(first[0][1], str) or first[0][1] == take.identity):
        return True
    return bool(first and read(*_of_identity(_FREE_BY_ROW, take)))


def free_query(take: Take) -> tuple[str, tuple[str]]:
    """The SELECT for an identity's oldest row that is in no batch."""
    return _of_identity(_FREE, take)


def _of_identity(sql: str, take: Take) -> tuple[str, tuple[str]]:
    return sql.format(by_index=BY_INDEX if take.identity else ""), (take.identity,)


def free_rows(writer: sqlite3.Connection, take: Take) -> Sequence[Row]:
    """Read the oldest rows that are in no batch yet; none if they are not to be sent yet.

    Raises:
        sqlite3.DatabaseError: They are not found by what they are looked for by.
    """
    free = writer.execute(*free_query(take)).fetchone()
    if free is None:
        check_index(writer, take.identity)
        if writer.execute(*_of_identity(_FREE_BY_ROW, take)).fetchone() is not None:
            raise out_of_order()
        return []
    return [] if free[0] > take.up_to else rows_from(writer, free[0], take)


def rows_from(writer: sqlite3.Connection, first_id: int, take: Take) -> Sequence[Row]:
    """Read the rows for a batch from one on, up to the next that is in another batch.

    Raises:
        sqlite3.DatabaseError: The first is not found.
    """
    (following,) = writer.execute(_NEXT_MARK, (take.identity, first_id)).fetchone()
    tail = " AND _id >= ? AND _id < ? ORDER BY _id LIMIT ?"
    rows = rows_of(writer, take.identity, tail, first_id, following or HIGHEST_ID, take.limit)
    if not rows or rows.ids[0] != first_id:
        raise out_of_order()
    if len(rows) < take.minimum:
        rows = rows[: bisect_right(rows.ids, take.small_up_to)]
    return fitting(rows, take.max_bytes)


def fitting(rows: Rows, max_bytes: int | None, *, is_last: bool = False) -> Rows:
    """The first of the rows, or the last, whose body is no larger; at least one."""
    if max_bytes is None:
        return rows
    room = max_bytes - body_size(())
    data = reversed(rows.data) if is_last else rows.data
    with_commas = accumulate(len(each) + 1 for each in data)
    count = max(1, sum(1 for size in with_commas if size - 1 <= room))
    return rows[-count:] if is_last else rows[:count]
