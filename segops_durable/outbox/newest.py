"""Batches of the newest events, now and then, while a backlog waits.

A batch is all that waits of an identity between two ids: so these are the newest rows that no
other batch has, with nothing between them. Where less is left than two batches, there is no
backlog, and the oldest go on as ever.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from segops_durable.outbox.findability import BY_INDEX, rows_of
from segops_durable.outbox.gathering import fitting, free_query
from segops_durable.outbox.records.schema import QUEUE
from segops_durable.outbox.records.walking import HIGHEST_ID, LOWEST_ID, out_of_order

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from segops_durable.outbox.records.batch import Take
    from segops_durable.outbox.records.rows import Row

_MARK_BELOW = """
SELECT first_id, last_id FROM in_flight WHERE identity = ? AND first_id <= ?
ORDER BY first_id DESC LIMIT 1
"""
_ALMOST_ONE = 1 - 1e-9
"""Ten times a tenth is not quite one."""

_MOST_KNOWN = 1000


class Shares:
    """Says when a batch comes from the newest end: of an identity's batches, so many of each.

    By counting, not by chance: of a share of 0.2 it is every fifth.
    """

    def __init__(self) -> None:
        self._credit: OrderedDict[str, float] = OrderedDict()

    def rows(self, writer: sqlite3.Connection, take: Take) -> Sequence[Row]:
        """The newest rows, if it is their turn; none if it is that of the oldest."""
        if not take.newest_share:
            return []
        credit = self._credit.pop(take.identity, 0.0) + take.newest_share
        rows: Sequence[Row] = []
        if credit >= _ALMOST_ONE:
            credit, rows = credit - 1, _newest_in_time(writer, take)
        self._credit[take.identity] = max(0.0, credit)
        if len(self._credit) > _MOST_KNOWN:
            self._credit.popitem(last=False)
        return rows


def _newest_in_time(writer: sqlite3.Connection, take: Take) -> Sequence[Row]:
    """The newest rows, unless all is gone that waited when the round began: it ends then.

    However much has come since: else it would go on for as long as events come.
    """
    oldest = writer.execute(*free_query(take)).fetchone()
    return [] if oldest is None or oldest[0] > take.up_to else newest_rows(writer, take)


def newest_rows(writer: sqlite3.Connection, take: Take) -> Sequence[Row]:
    """Read the newest rows that are in no batch and lie together; none where no backlog waits.

    Raises:
        sqlite3.DatabaseError: The rows are not in the order of their ids.
    """
    below = HIGHEST_ID
    while (free := _free_below(writer, take, below)) is not None:
        floor, rows = free
        if len(rows) > 2 * take.limit:
            tail = " AND _id BETWEEN ? AND ? ORDER BY _id"
            ids = (rows[take.limit - 1], rows[0])
            return fitting(rows_of(writer, take.identity, tail, *ids), take.max_bytes, is_last=True)
        below = floor
    return []


def _free_below(
    writer: sqlite3.Connection, take: Take, below: int
) -> tuple[int, Sequence[int]] | None:
    """The newest range below an id that no batch has: where it ends, and its ids, newest first.

    No more of them than tell whether it is a backlog. None where nothing is below.
    """
    by_index = BY_INDEX if take.identity else ""
    ids = f"SELECT _id FROM {QUEUE} WHERE identity = ?{by_index} AND _id < ? AND _id > ?"
    newest = f"{ids} ORDER BY _id DESC LIMIT ?"
    top = writer.execute(newest, (take.identity, below, LOWEST_ID, 1)).fetchone()
    if top is None:
        return None
    mark = writer.execute(_MARK_BELOW, (take.identity, top[0])).fetchone()
    first, last = mark or (LOWEST_ID, LOWEST_ID)
    if first >= below:
        raise out_of_order()  # it would be gone through for ever
    if last >= top[0]:
        return first, ()
    most = 2 * take.limit + 1
    found = writer.execute(newest, (take.identity, below, last, most)).fetchall()
    return first if mark else LOWEST_ID, [row_id for (row_id,) in found]
