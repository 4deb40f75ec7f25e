"""Which batch is sent next: the one that is in flight already, or a new one that is marked now.

Before it is written down, the times of its events are corrected, if the clock has been set
since they were tracked. After that nothing changes them, whatever becomes of the clock.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from segops_durable.outbox.ahead import read_ahead
from segops_durable.outbox.findability import rows_of
from segops_durable.outbox.gathering import free_rows, rows_from
from segops_durable.outbox.newest import Shares
from segops_durable.outbox.records.batch import (
    Batch,
    Take,
    Taken,
    body_of,
    digest_of,
    is_key_of,
)
from segops_durable.outbox.records.columns import Rows, damaged_among
from segops_durable.outbox.records.marks import first_mark, mark, unmark
from segops_durable.outbox.records.walking import PAGE_ROWS, out_of_order
from segops_durable.outbox.removal import bury_damaged
from segops_durable.outbox.retiming import is_any_wrong, set_right
from segops_durable.outbox.sifting import bury_nobodys

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from segops_durable.outbox.ahead import Ahead
    from segops_durable.outbox.expiry import Expiry
    from segops_durable.outbox.records.rows import Row
    from segops_durable.outbox.unaltered import Unaltered
    from segops_durable.system.clock import Clock


def key_of(uuid: str, rows: Sequence[Row], digest: str) -> str:
    """Name a batch by its outbox, its rows and their bytes."""
    ids = Rows.of(rows).ids
    return f"{uuid}-{ids[0]}-{ids[-1]}-{len(ids)}-{digest}"


class Taking:
    """Takes batches, within the caller's transaction.

    Args:
        uuid: Gives the outbox's UUID.
        clock: Tells whether a clock was set since an event was tracked.
        expiry: What is too old to be sent.
        unaltered: Whether anything happened since the last of these transactions.
    """

    def __init__(
        self, uuid: Callable[[], str], clock: Clock, expiry: Expiry, unaltered: Unaltered
    ) -> None:
        self._uuid = uuid
        self._clock = clock
        self._expiry = expiry
        self._unaltered = unaltered
        self._ahead: Ahead | None = None
        self._shares = Shares()

    def read_ahead(self, reader: sqlite3.Connection, take: Take) -> None:
        """Read the batch that will be taken next."""
        since = self._unaltered.left
        self._ahead = read_ahead(reader, take, self._clock.moment().boot, since)

    def next(self, writer: sqlite3.Connection, take: Take) -> Taken:
        """Find the next batch whose rows are all intact; bury the damaged on the way."""
        if (batch := self._from_head(writer, take)) is not None:
            return Taken(batch)
        buried, expired = bury_nobodys(writer), 0
        while expired < PAGE_ROWS:  # others wait for the file
            batch = self._marked(writer, take)
            if batch is not None and batch.is_new and self._is_outdated(writer, batch, take):
                unmark(writer, batch.key)
                batch = None
            rows = self._shares.rows(writer, take) if batch is None else batch.rows
            if not rows:
                if (batch := self._from_ahead(writer, take)) is not None:
                    return Taken(batch, buried, expired=expired)
                rows = free_rows(writer, take)
            if damaged := damaged_among(rows):
                if batch is not None:
                    unmark(writer, batch.key)
                buried += bury_damaged(writer, damaged)
            elif batch is None and (old := self._expiry.among(writer, rows)):
                expired += self._expiry.bury(writer, old)
            else:
                batch = self._make(writer, rows) if batch is None and rows else batch
                return Taken(batch, buried, expired=expired)
        return Taken(None, buried, expired=expired)

    def _marked(self, writer: sqlite3.Connection, take: Take) -> Batch | None:
        """Read the batch that is in flight; one that lost rows is no longer that batch."""
        while found := first_mark(writer, take.identity, take.aside):
            tail = " AND _id BETWEEN ? AND ? ORDER BY _id"
            rows = rows_of(writer, take.identity, tail, found.first_id, found.last_id)
            body = body_of(rows)
            if len(rows) == found.row_count and is_key_of(found.key, body):
                is_new = found.key in take.unsent
                return Batch(rows, found.key, found.assigned, is_new, body)
            if not unmark(writer, found.key):
                raise out_of_order()  # it would be found again, for ever
        return None

    def _is_outdated(self, writer: sqlite3.Connection, batch: Batch, take: Take) -> bool:
        """Whether a batch that has not left would be another one if it were made now."""
        now = self._clock.moment()
        if is_any_wrong(batch.rows, now) or self._expiry.among(writer, batch.rows):
            return True
        small_up_to = max(take.small_up_to, batch.last_id)
        rows = rows_from(writer, batch.first_id, replace(take, small_up_to=small_up_to))
        return len(rows) != len(batch.rows)

    def _from_ahead(self, writer: sqlite3.Connection, take: Take) -> Batch | None:
        """Mark what was read ahead, if that is what would be read now."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or not ahead.is_next(writer, take, self._clock.moment()):
            return None
        if self._expiry.among(writer, ahead.rows):
            return None
        return self._mark(writer, ahead.rows, ahead.body, ahead.digest)

    def _from_head(self, writer: sqlite3.Connection, take: Take) -> Batch | None:
        """The same, where nothing has happened since it was read, by one look at the oldest row."""
        ahead = self._ahead
        if ahead is None or take.newest_share or not self._unaltered.is_since(ahead.since):
            return None
        if not ahead.is_at_head(writer, take, self._clock.moment()):
            return None
        if self._expiry.among(writer, ahead.rows):
            return None
        self._ahead = None
        return self._mark(writer, ahead.rows, ahead.body, ahead.digest)

    def _make(self, writer: sqlite3.Connection, rows: Sequence[Row]) -> Batch:
        """Write down a new batch, with the times of its events as they are known now."""
        now = self._clock.moment()
        rows = set_right(writer, rows, now)
        body = body_of(rows)
        return self._mark(writer, rows, body, digest_of(body))

    def _mark(
        self, writer: sqlite3.Connection, rows: Sequence[Row], body: bytes, digest: str
    ) -> Batch:
        batch = Batch(rows, key_of(self._uuid(), rows, digest), is_new=True, body=body)
        mark(writer, batch)
        return batch
