"""Correcting the times of events, where the clock was set since they were tracked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from segops_durable.events import retimed
from segops_durable.outbox.records.columns import Rows
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
    if are_within(bounds_of(rows, now.boot), now):
        return False
    return any(corrected(row.moment, now) is not None for row in rows)


def bounds_of(rows: Sequence[Row], boot: int | None) -> tuple[float, float]:
    """By how much the clock may be ahead of the uptime, and none of the events be wrong."""
    columns = Rows.of(rows)
    clocks = zip(columns.tracked_at, columns.uptimes, columns.boots, strict=True)
    ahead = [wall - uptime for wall, uptime, its in clocks if its == boot and uptime is not None]
    if not ahead:
        return -math.inf, math.inf
    return max(ahead) - JITTER_SECONDS, min(ahead) + JITTER_SECONDS


def are_within(bounds: tuple[float, float], now: Moment) -> bool:
    """Whether none of the events with such bounds is wrong."""
    return now.uptime is None or bounds[0] <= now.wall - now.uptime <= bounds[1]


def set_right(writer: sqlite3.Connection, rows: Sequence[Row], now: Moment) -> Sequence[Row]:
    """Correct the times of events, on disk as well, within the caller's transaction."""
    if are_within(bounds_of(rows, now.boot), now):
        return rows
    return [_set_right(writer, row, now) for row in rows]


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
