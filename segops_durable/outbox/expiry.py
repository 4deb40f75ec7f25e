"""Events that wait for longer than the user wants them sent: they go to the dead letters.

How long an event has waited is told by the time since the boot, which nobody sets, if it was
tracked in this boot and does not say its own time; else by the time of day. That is believed
where it can be: see `believed`. Who cannot tell how old an event is lets it wait.

A batch that may have been sent is none of these: its events are sent again under their key.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from segops_durable.outbox.records.burial import bury
from segops_durable.outbox.records.letters import Cause, Letter
from segops_durable.outbox.records.notes import read_note, write_note
from segops_durable.outbox.records.retried import retried
from segops_durable.outbox.records.rows import Row, safe_moment
from segops_durable.outbox.records.schema import IS_FREE, QUEUE, SELECT_ROWS
from segops_durable.outbox.records.tally import standing
from segops_durable.outbox.records.walking import LOWEST_ID, page_sql, read_page
from segops_durable.outbox.removal import delete_found
from segops_durable.system.clock import PLAUSIBLE, Moment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from segops_durable.outbox.records.retried import Retried
    from segops_durable.outbox.store.store import Store
    from segops_durable.system.clock import Clock

DAY, YEAR = 86_400.0, 365 * 86_400.0

_TIMES = page_sql(f"SELECT _id, timestamp, uptime, boot FROM {QUEUE}")
_FREE = f"SELECT _id FROM {QUEUE} AS row WHERE _id BETWEEN ? AND ? AND {IS_FREE}"
_MARKS = "SELECT first_id, last_id, batch_key FROM in_flight"
_EXPIRED, _CLOCK = "expired", "clock"


def expired_total(connection: sqlite3.Connection) -> int:
    """How many events have expired, ever."""
    text = read_note(connection, _EXPIRED)
    return int(text) if text is not None and text.isdecimal() else 0


class Believed:
    """The time of day, as far as it can be believed. For one thread.

    A clock that shows a year before this package has not been set. One that is suddenly more
    than a year ahead of where it was, the time since then included, was set wrong, or else the
    machine was off for so long: until it has stood so for a day, the time goes on from where it
    was. What it showed last is kept over restarts.
    """

    def __init__(self) -> None:
        self._last: Moment | None = None
        self._doubt: tuple[float, float] | None = None  # by how much it is ahead, and since when

    def note(self, text: str | None) -> None:
        """Go on from what was kept."""
        try:
            wall, uptime, boot = json.loads(text or "")
        except (ValueError, TypeError):
            return
        self._last = safe_moment(wall, uptime, boot)

    def now(self, now: Moment) -> float | None:
        """The time of day in Unix time; None if it is not known."""
        if now.wall < PLAUSIBLE or now.uptime is None:
            return None
        expected = now.wall if self._last is None else _later(self._last, now)
        if now.wall - expected <= YEAR:
            self._doubt = None
        elif not self._has_stood(now.wall - now.uptime, now.uptime):
            return expected
        self._last = now
        return now.wall

    def _has_stood(self, ahead: float, uptime: float) -> bool:
        if self._doubt is None or abs(self._doubt[0] - ahead) > DAY:
            self._doubt = (ahead, uptime)
        return uptime - self._doubt[1] >= DAY

    def kept_of(self, text: str | None) -> str | None:
        """What is to be kept, if it differs from what is: a day, or the boot."""
        if self._last is None:
            return None
        kept = Believed()
        kept.note(text)
        before = kept._last
        is_same_boot = before is not None and before.boot == self._last.boot
        if before is not None and is_same_boot and abs(before.wall - self._last.wall) < DAY:
            return None
        return json.dumps(self._last)


def _later(last: Moment, now: Moment) -> float:
    """The time of day that it is by now, at least, going by what it was."""
    if last.boot != now.boot or last.uptime is None or now.uptime is None:
        return last.wall
    return last.wall + max(0.0, now.uptime - last.uptime)


class Expiry:
    """Finds what is too old, and buries it. For the process that sends, on its thread.

    Args:
        store: The open outbox file.
        clock: The time.
        max_age: Seconds that an event may wait; None for any time.
    """

    def __init__(self, store: Store, clock: Clock, max_age: float | None) -> None:
        self._store = store
        self._clock = clock
        self._max_age = max_age
        self._believed = Believed()
        self._is_noted = False
        self._passed = LOWEST_ID  # no row before this one has an age, in this boot

    def among(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> list[Row]:
        """Those of some rows that are too old."""
        if self._max_age is None:
            return []
        now = self._clock.moment()
        wall = self._believed.now(now)
        old = [row for row in rows if self._is_old(_age(row.moment, now, wall))]
        if not old:
            return []
        again = retried(connection)  # by whichever process, just now perhaps
        return [row for row in old if self._is_old(_age(_since(row, again), now, wall))]

    def bury(self, writer: sqlite3.Connection, rows: Sequence[Row]) -> int:
        """Move rows to the dead letters, within the caller's transaction; return how many."""
        before = standing(writer)
        before.record(writer, removed=delete_found(writer, rows))
        reason = f"it waited longer than max_age, {self._max_age:g} seconds"
        bury(writer, rows, Letter(Cause.EXPIRED, reason))
        write_note(writer, _EXPIRED, str(expired_total(writer) + len(rows)))
        return len(rows)

    def sweep(self, unsent: Collection[str]) -> int:
        """Bury some of what is too old, from the oldest event on; return how many, 0 at the end.

        A page of events is looked at after the other, up to one with an event that is young:
        what lies behind it, of another outbox say, is found when its turn comes. A page is
        buried in a transaction of its own.

        Args:
            unsent: Keys of batches that are marked, and have not left.

        Raises:
            StorageError: The disk fails.
        """
        if self._max_age is None:
            return 0
        self._keep_clock()
        start = self._passed
        while page := self._store.look(partial(read_page, sql=_TIMES, start=start)):
            now = self._clock.moment()
            wall = self._believed.now(now)
            moments = {row_id: safe_moment(*times) for row_id, *times in page}
            ages = {row_id: _age(each, now, wall) for row_id, each in moments.items()}
            old = {row_id for row_id, age in ages.items() if self._is_old(age)}
            buried = self._store.transact(partial(self._bury, old, unsent)) if old else 0
            if buried or any(ages[row_id] is not None for row_id in ages.keys() - old):
                return buried
            start, before = page[-1][0] + 1, start
            if before == self._passed and all(_has_no_age(each, now) for each in moments.values()):
                self._passed = start
        return 0

    def _bury(self, ids: set[int], unsent: Collection[str], writer: sqlite3.Connection) -> int:
        """Bury those rows of a page that are in no batch which may have been sent."""
        first, last = min(ids), max(ids)
        for first_id, last_id, key in writer.execute(_MARKS).fetchall():
            if key in unsent and any(first_id <= each <= last_id for each in ids):
                writer.execute("DELETE FROM in_flight WHERE batch_key = ?", (key,))
        free = {row_id for (row_id,) in writer.execute(_FREE, (first, last))}
        sql = f"{SELECT_ROWS} WHERE _id BETWEEN ? AND ?"
        found = map(Row.of, writer.execute(sql, (first, last)).fetchall())
        # of a damaged row the time may be wrong: it is found when it is taken
        rows = [row for row in found if row.id in ids & free and row.is_intact]
        rows = self.among(writer, rows)
        return self.bury(writer, rows) if rows else 0

    def _is_old(self, age: float | None) -> bool:
        return age is not None and self._max_age is not None and age > self._max_age

    def _keep_clock(self) -> None:
        """Keep what the clock shows, once a day, and in each boot."""
        text = self._store.look(partial(read_note, name=_CLOCK))
        if not self._is_noted:
            self._is_noted = True
            self._believed.note(text)
        self._believed.now(self._clock.moment())
        kept = self._believed.kept_of(text)
        if kept is not None:
            self._store.transact(lambda writer: write_note(writer, _CLOCK, kept))


def _since(row: Row, again: Sequence[Retried]) -> Moment:
    """Since when a row waits: since it was put back, if it was."""
    return next((each.moment for each in again if each.first <= row.id <= each.last), row.moment)


def _age(then: Moment, now: Moment, wall: float | None) -> float | None:
    """Seconds since an event was tracked; None if nobody can tell.

    Args:
        then: When that was.
        now: Now, by the clocks.
        wall: The time of day, as far as it is believed.
    """
    if then.uptime is not None and now.uptime is not None and then.boot == now.boot:
        return now.uptime - then.uptime
    return None if wall is None or then.wall < PLAUSIBLE else wall - then.wall


def _has_no_age(then: Moment, now: Moment) -> bool:
    """Whether nothing in this boot will tell how old an event is."""
    return then.wall < PLAUSIBLE and then.boot != now.boot
