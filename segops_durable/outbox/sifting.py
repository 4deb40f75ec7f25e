"""Finding, and burying, what is none of anybody's to send by damage alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.outbox.findability import check_index, nobodys, rows_of
from segops_durable.outbox.records.columns import damaged_among
from segops_durable.outbox.records.walking import PAGE_ROWS
from segops_durable.outbox.removal import bury_damaged

if TYPE_CHECKING:
    import sqlite3


def bury_nobodys(writer: sqlite3.Connection) -> int:
    """Bury the oldest rows as long as they are of no identity that anyone could ask for."""
    buried = 0
    while rows := nobodys(writer):
        buried += bury_damaged(writer, rows)
    return buried


def sift(writer: sqlite3.Connection, identity: str) -> int:
    """Bury those, and the damaged among an identity's oldest rows; say how many."""
    buried = bury_nobodys(writer)
    rows = rows_of(writer, identity, " AND _id > ? ORDER BY _id LIMIT ?", 0, PAGE_ROWS)
    if not rows:
        check_index(writer, identity)
    damaged = damaged_among(rows)
    return buried + (bury_damaged(writer, damaged) if damaged else 0)
