"""The next batch, read while the answer to another is awaited.

To read its rows, to verify them, and to join and hash its body, takes longer than all else
between an answer and the next request. Nothing is decided by it: whoever marks the next batch,
in the transaction that settles the one before it, looks whether it would still be these rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segops_durable.outbox.findability import BY_INDEX
from segops_durable.outbox.gathering import free_query, free_rows
from segops_durable.outbox.records.batch import body_of, digest_of
from segops_durable.outbox.records.columns import Rows, damaged_among
from segops_durable.outbox.records.schema import QUEUE
from segops_durable.outbox.retiming import are_within, bounds_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from segops_durable.outbox.records.batch import Take
    from segops_durable.outbox.records.rows import Row
    from segops_durable.system.clock import Moment

_ARE_THERE = f"""
SELECT count(*), total(crc),
    (SELECT min(first_id) FROM in_flight WHERE identity = ? AND first_id > ?)
FROM {QUEUE} WHERE identity = ?{{by_index}} AND _id BETWEEN ? AND ?
"""


_HEAD = f"SELECT _id, identity, EXISTS (SELECT 1 FROM in_flight) FROM {QUEUE} ORDER BY _id LIMIT 1"


@dataclass(frozen=True)
class Ahead:
    """A full batch that is not marked yet: what is appended meanwhile makes no other of it.

    Attributes:
        take: What it was read for.
        rows: Its rows, intact.
        body: What they make.
        digest: The end of its key.
        bounds: By how much the clock may be ahead of the uptime, or their times are corrected.
        since: In which state the file had been left before.
    """

    take: Take
    rows: Sequence[Row]
    body: bytes
    digest: str
    bounds: tuple[float, float]
    since: object

    def is_next(self, writer: sqlite3.Connection, take: Take, now: Moment) -> bool:
        """Whether these rows, as they are, are what a take would find, as none is marked.

        They are where there are as many of that identity between the first and the last, with
        the same sum of checksums. One that was erased, dropped, sent or corrected is not.
        """
        ids = Rows.of(self.rows).ids
        first, last = ids[0], ids[-1]
        return (
            self._is_for(take, now)
            and writer.execute(*free_query(take)).fetchone() == (first,)
            and self._are_there(writer, first, last)
        )

    def is_at_head(self, writer: sqlite3.Connection, take: Take, now: Moment) -> bool:
        """Whether these rows are what a take would find, as nobody has altered any since.

        They are where the first of them is the oldest row of all, and none is marked.
        """
        head = Rows.of(self.rows).ids[0], take.identity, 0
        return self._is_for(take, now) and writer.execute(_HEAD).fetchone() == head

    def _is_for(self, take: Take, now: Moment) -> bool:
        return (
            (take.limit, take.identity, take.max_bytes)
            == (self.take.limit, self.take.identity, self.take.max_bytes)
            and Rows.of(self.rows).ids[0] <= take.up_to
            and are_within(self.bounds, now)
        )

    def _are_there(self, writer: sqlite3.Connection, first: int, last: int) -> bool:
        identity = self.take.identity
        sql = _ARE_THERE.format(by_index=BY_INDEX if identity else "")
        parameters = (identity, first, identity, first, last)
        count, crcs, marked = writer.execute(sql, parameters).fetchone()
        is_free = marked is None or marked > last
        return is_free and (count, crcs) == (len(self.rows), sum(Rows.of(self.rows).crcs))


def read_ahead(
    reader: sqlite3.Connection, take: Take, boot: int | None, since: object
) -> Ahead | None:
    """Read the batch that a take would find if none is marked; None if it is not a full one.

    Args:
        reader: Any connection.
        take: What will be taken.
        boot: The boot of the machine.
        since: In which state the file has been left before.

    Raises:
        sqlite3.DatabaseError: The file is damaged.
    """
    rows = free_rows(reader, take)
    if len(rows) < take.limit or damaged_among(rows):
        return None
    body = body_of(rows)
    return Ahead(take, rows, body, digest_of(body), bounds_of(rows, boot), since)
