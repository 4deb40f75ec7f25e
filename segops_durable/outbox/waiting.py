"""What waits in the queue: how much, whose, since when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from segops_durable.identity import NO_IDENTITY, lanes_of
from segops_durable.outbox.disk.files import size_on_disk
from segops_durable.outbox.expiry import expired_total
from segops_durable.outbox.findability import BY_INDEX, FIRST
from segops_durable.outbox.records.lanes import SECRET_LANES
from segops_durable.outbox.records.rows import Row, safe_moment
from segops_durable.outbox.records.schema import LETTERS, QUEUE, SELECT_ROWS
from segops_durable.outbox.records.tally import Standing, standing
from segops_durable.outbox.records.typed import as_bytes, is_time
from segops_durable.outbox.records.walking import PAGE_ROWS
from segops_durable.system.clock import corrected, was_just_booted_since

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from segops_durable.outbox.store.store import Store
    from segops_durable.system.clock import Clock, Moment

_PEEK = f"{SELECT_ROWS} ORDER BY _id LIMIT ?"
_LATEST = f"""
SELECT _id, timestamp, substr(data, 1, ?), length(data) FROM {QUEUE}
WHERE _id > ? ORDER BY _id DESC LIMIT ?
"""
_OLDEST = f"SELECT timestamp, uptime, boot FROM {QUEUE} ORDER BY _id LIMIT 1"

_IDENTITIES = f"""
WITH RECURSIVE named (identity) AS (
    SELECT (SELECT min(identity) FROM {QUEUE} WHERE identity <> '')
    UNION ALL
    SELECT (SELECT min(identity) FROM {QUEUE} WHERE identity > named.identity{BY_INDEX})
    FROM named WHERE named.identity IS NOT NULL
)
SELECT identity, (
    SELECT min(_id) FROM {QUEUE} AS row WHERE row.identity = named.identity{BY_INDEX}
) AS head
FROM named WHERE identity IS NOT NULL ORDER BY head
"""
_URGENT = f"""
WITH RECURSIVE named (identity) AS (
    SELECT (SELECT min(identity) FROM {QUEUE} WHERE identity >= 'high ' AND identity <> '')
    UNION ALL
    SELECT (SELECT min(identity) FROM {QUEUE} WHERE identity > named.identity{BY_INDEX})
    FROM named WHERE named.identity < 'high!'
)
SELECT identity FROM named WHERE identity < 'high!'
"""
_SECRET = f"""
SELECT max(_id), min(CASE WHEN identity = '' THEN _id END)
FROM (SELECT _id, identity FROM {QUEUE} WHERE _id > ? ORDER BY _id LIMIT ?)
"""


@dataclass(frozen=True)
class Counts:
    """How the outbox stands.

    Attributes:
        pending: Events that wait to be sent.
        dead: Rows in the dead letters.
        accepted_total: Events that SegOps has accepted, ever.
        dropped_total: Events that gave way to new ones, ever.
        lost_total: Events that a damaged file has lost, as far as it is known, ever.
        expired_total: Events that waited longer than `max_age`, ever.
        last_id: The newest id ever given to a row.
        oldest_at: Unix time in seconds of the oldest waiting event; None if none waits.
        last_accepted_at: Unix time in seconds of the last acceptance; None if none yet.
        queue_bytes: Size of the outbox files on disk.
    """

    pending: int
    dead: int
    accepted_total: int
    dropped_total: int
    lost_total: int
    expired_total: int
    last_id: int
    oldest_at: float | None
    last_accepted_at: float | None
    queue_bytes: int


class Head(NamedTuple):
    """The beginning of an event, to be looked at by a person.

    Attributes:
        id: Its row's id.
        tracked_at: Unix time in seconds; 0 where the file has no time.
        data: The first of its bytes.
        size: How many it has.
    """

    id: int
    tracked_at: float
    data: bytes
    size: int


class Waiting:
    """Looks at what waits; any process may.

    Args:
        store: The open outbox file.
        clock: Tells whether a clock was set since an event was tracked.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    # How much

    def counts(self) -> Counts:
        """Say how the outbox stands; the cost grows with the dead letters, not with what waits."""
        stand, dead, oldest, expired = self._store.look(_look)
        tally = stand.tally
        return Counts(
            pending=stand.pending,
            dead=dead,
            accepted_total=tally.accepted,
            dropped_total=tally.dropped,
            lost_total=tally.lost,
            expired_total=expired,
            last_id=stand.last_id,
            oldest_at=None if oldest is None else self._shown_now(oldest),
            last_accepted_at=tally.last_accepted_at,
            queue_bytes=size_on_disk(self._store.path),
        )

    def dropped_total(self) -> int:
        """Events that gave way to new ones, ever; the cost does not grow."""
        return self._store.look(standing).tally.dropped

    def expired_total(self) -> int:
        """Events that waited longer than `max_age`, ever; the cost does not grow."""
        return self._store.look(expired_total)

    def is_left_by_power_cut(self) -> bool:
        """Whether the oldest event has waited since before the machine was started, just now."""
        found = self._store.read(_OLDEST)
        if not found:
            return False
        return was_just_booted_since(safe_moment(*found[0]), self._clock.moment())

    def count_of(self, identities: Sequence[str]) -> dict[str, int]:
        """How many events of each of these identities wait; the cost grows with the answer."""
        return {each: sum(map(self._count_of, lanes_of(each))) for each in identities}

    def _count_of(self, lane: str) -> int:
        sql = f"SELECT count(*) FROM {QUEUE} WHERE identity = ?{BY_INDEX if lane else ''}"
        count: int = self._store.read(sql, (lane,))[0][0]
        return count

    def count_public(self) -> int:
        """How many waiting events were tracked under a public key; the cost grows with it."""
        count: int = self._store.read(f"SELECT count(*) FROM {QUEUE} WHERE identity <> ''")[0][0]
        return count - sum(self._count_of(each) for each in SECRET_LANES if each)

    def count_after(self, row_id: int) -> int:
        """How many rows newer than that id wait."""
        sql = f"SELECT count(*) FROM {QUEUE} WHERE _id > ?"
        count: int = self._store.read(sql, (row_id,))[0][0]
        return count

    def newest_id(self) -> int:
        """The id of the newest event that waits; 0 if none does."""
        newest = self._store.read(f"SELECT max(_id) FROM {QUEUE}")[0][0]
        return newest if isinstance(newest, int) else 0

    def has_rows_up_to(self, row_id: int) -> bool:
        """Whether a row of that id or an older one still waits."""
        return bool(self._store.read(f"SELECT 1 FROM {QUEUE} WHERE _id <= ? LIMIT 1", (row_id,)))

    def peek(self, limit: int) -> list[Row]:
        """The oldest events that wait, damaged ones as well."""
        return [Row.of(found) for found in self._store.read(_PEEK, (limit,))]

    def latest(self, limit: int, *, after: int, longest: int) -> list[Head]:
        """The newest events that wait, newest first; the cost grows with the answer.

        Args:
            limit: Events at most.
            after: Only those with a higher id.
            longest: Bytes of each at most.
        """
        found = self._store.read(_LATEST, (longest, after, limit))
        return [
            Head(row_id, wall if is_time(wall) else 0.0, as_bytes(data), size or 0)
            for row_id, wall, data, size in found
        ]

    def still(self, ids: Sequence[int]) -> set[int]:
        """Which of these rows wait still."""
        sql = f"SELECT _id FROM {QUEUE} WHERE _id IN ({', '.join('?' * len(ids))})"
        return {row_id for (row_id,) in self._store.read(sql, tuple(ids))}

    # Whose

    def identities(self) -> list[str]:
        """Whose events wait, lane by lane, those with the oldest first.

        The cost grows with the number of identities, not of events. `NO_IDENTITY` is there
        only if the oldest event of all is of it.
        """
        named = [found[0] for found in self._store.read(_IDENTITIES) if isinstance(found[0], str)]
        first = self._store.read(FIRST)
        if first:
            identity = first[0][1] if isinstance(first[0][1], str) else NO_IDENTITY
            # not in the index: it is `NO_IDENTITY`, which that leaves out, or the index is damaged.
            # Then it is named all the same, for it is the take that looks, and has it salvaged
            if identity not in named:
                named.insert(0, identity)
        return named

    def urgent(self) -> list[str]:
        """The lanes of events that go first; the cost grows with their number."""
        found = self._store.read(_URGENT)
        return [each for (each,) in found if isinstance(each, str)]

    def find_secret(self, after: int) -> tuple[int, bool]:
        """Look on, page by page, for a row that was tracked under a secret key.

        `identities` shows those only at the head. Each row is looked at once, if the caller
        goes on from where this has come to.

        Args:
            after: The newest id that was looked at before.

        Returns:
            The newest id that was looked at now, and whether there is such a row: after it.
        """
        while found := self._store.read(_SECRET, (after, PAGE_ROWS))[0]:
            last, first_secret = found
            if first_secret is not None:
                return first_secret - 1, True
            if last is None or last <= after:  # a damaged page may not advance
                break
            after = last
        return after, False

    def _shown_now(self, then: Moment) -> float:
        """When something happened, as far as is known now."""
        now = corrected(then, self._clock.moment())
        return then.wall if now is None else now


def _look(connection: sqlite3.Connection) -> tuple[Standing, int, Moment | None, int]:
    """Read the counters, the count of dead letters, when the oldest row is of, and what expired."""
    oldest = connection.execute(_OLDEST).fetchone()
    dead = connection.execute(f"SELECT count(*) FROM {LETTERS}").fetchone()[0]
    moment = None if oldest is None else safe_moment(*oldest)
    return standing(connection), dead, moment, expired_total(connection)
