"""Walking a table by its ids, page by page: every step goes on, or the file is damaged."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Look = Callable[[Callable[[sqlite3.Connection], list[Any]]], list[Any]]

LOWEST_ID, HIGHEST_ID = -(1 << 63), (1 << 63) - 1

PAGE_ROWS = 500


def page_sql(select: str) -> str:
    """A SELECT, for one page: its parameters are the first id, the last, and how many."""
    return f"{select} WHERE _id BETWEEN ? AND ? ORDER BY _id LIMIT ?"


def read_page(
    connection: sqlite3.Connection, sql: str, start: int, last: int = HIGHEST_ID
) -> list[Any]:
    """Read a page whose rows begin with their id.

    Raises:
        sqlite3.DatabaseError: The ids do not grow: who went by them would walk for ever.
    """
    page = connection.execute(sql, (start, last, PAGE_ROWS)).fetchall()
    ids = [start - 1, *(row[0] for row in page)]
    if any(one >= following for one, following in pairwise(ids)):
        raise out_of_order()
    return page


def walk(look: Look, sql: str, last: int = HIGHEST_ID) -> Iterator[list[Any]]:
    """Yield page after page, each read by itself: nobody waits for the one who walks.

    Args:
        look: Runs what reads, and has the file mended where it is damaged.
        sql: As `page_sql` makes it.
        last: The last id.
    """
    start = LOWEST_ID
    while start <= last:
        page = look(lambda connection, start=start: read_page(connection, sql, start, last))  # type: ignore[misc]
        if not page:
            return
        yield page
        start = page[-1][0] + 1


def out_of_order() -> sqlite3.DatabaseError:
    """The error for rows that are not in the order of their ids."""
    return sqlite3.DatabaseError("malformed: rows cannot be found by their ids")
