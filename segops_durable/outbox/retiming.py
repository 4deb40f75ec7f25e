"""Correcting the times of events, where the clock was set since they were tracked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from segops_durable.events import retimed
from segops_durable.outbox.records.rows import checksum
from segops_durable.outbox.records.schema import QUEUE
from segops_durable.system.clock import JITTER_SECONDS, corrected

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from segops_durable.outbox.records.rows import Row
    from segops_durable.system.clock import Moment

_RETIME = f"UPDATE {QUEUE} SET data = ?, timestamp = ?, crc = ? WHERE _id = ?"


def is_any_wrong(rows: Sequence[Row], now: Moment) -> bool:
    """Whether the clock was set since one of the events was tracked."""
    return any(corrected(row.moment, now) is not None for row in _perhaps_wrong(rows, now))


def bounds_of(rows: Sequence[Row], boot: int | None) -> tuple[float, float]:
    """By how much the clock may be ahead of the uptime, and none of the events be wrong."""
    ahead = [
        row.tracked_at - row.uptime for row in rows if row.uptime is not None and row.boot == boot
    ]
    if not ahead:
        return -math.inf, math.inf
    return max(ahead) - JITTER_SECONDS, min(ahead) + JITTER_SECONDS


def set_right(writer: sqlite3.Connection, rows: Sequence[Row], now: Moment) -> Sequence[Row]:
    """Correct the times of events, on disk as well, within the caller's transaction."""
    if not _perhaps_wrong(rows, now):
        return rows
    return [_set_right(writer, row, now) for row in rows]


def _perhaps_wrong(rows: Sequence[Row], now: Moment) -> list[Row]:
    """Those that have to be looked at, by one look at the clocks for all."""
    if now.uptime is None:
        return []
    ahead, boot = now.wall - now.uptime, now.boot
    return [
        row
        for row in rows
        if row.uptime is not None
        and row.boot == boot
        and not abs(row.uptime + ahead - row.tracked_at) <= JITTER_SECONDS
    ]


def _set_right(writer: sqlite3.Connection, row: Row, now: Moment) -> Row:
    wall = corrected(row.moment, now)
    if wall is None:
        return row
    try:
        data = retimed(row.data, wall)
    except (ValueError, OverflowError):  # it says no time, or none that a calendar has
        return row
    crc = checksum(data, row.identity, wall, row.uptime, row.boot)
    writer.execute(_RETIME, (data, wall, crc, row.id))
    return row._replace(data=data, tracked_at=wall, crc=crc)
