"""What moves in and out of the outbox, as frozen values."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.outbox.letters import Letter

_BODY_START, _BODY_END = b'{"events":[', b"]}"

NO_IDENTITY = ""
"""The identity of events sent with a secret key: each speaks for its own user."""


class NewRow(NamedTuple):
    """An event on its way in, in the order of the INSERT's columns."""

    data: bytes
    tracked_at: float
    crc: int
    identity: str


def new_row(data: bytes, tracked_at: float, identity: str = NO_IDENTITY) -> NewRow:
    """Make a row of an encoded event, with the checksum that will be verified on the way out."""
    return NewRow(data, tracked_at, checksum(data, identity), identity)


def checksum(data: bytes, identity: str) -> int:
    """What notices a changed event, or one that would be attributed to somebody else."""
    return zlib.crc32(identity.encode(), zlib.crc32(data))


@dataclass(frozen=True)
class Row:
    """A stored event, in the order of the SELECT's columns."""

    id: int
    data: bytes
    tracked_at: float
    crc: int
    identity: str

    @property
    def is_intact(self) -> bool:
        """Whether the row is as it was stored; SQLite itself would not notice.

        In a damaged file a value may be of any type, whatever the table says.
        """
        try:
            return checksum(self.data, self.identity) == self.crc
        except (TypeError, AttributeError):
            return False


def body_size(rows: Sequence[Row]) -> int:
    """Bytes of the body that these rows make."""
    around = len(_BODY_START) + len(_BODY_END) + max(0, len(rows) - 1)
    return around + sum(len(row.data) for row in rows)


@dataclass(frozen=True)
class Batch:
    """Events that are sent in one request, again and again the same until it is settled.

    Attributes:
        rows: The events, oldest first, all of one identity.
        key: The ``Idempotency-Key``, the same at every attempt, also after a restart.
    """

    rows: tuple[Row, ...]
    key: str

    @property
    def identity(self) -> str:
        """Whose events these are; `NO_IDENTITY` under a secret key."""
        return self.rows[0].identity

    @property
    def first_id(self) -> int:
        """The oldest row's id."""
        return self.rows[0].id

    @property
    def last_id(self) -> int:
        """The newest row's id."""
        return self.rows[-1].id

    @property
    def body(self) -> bytes:
        """The request's body: the stored bytes, joined."""
        return _BODY_START + b",".join(row.data for row in self.rows) + _BODY_END

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return body_size(self.rows)


@dataclass(frozen=True)
class Settlement:
    """What became of a batch: its rows leave the queue.

    Attributes:
        batch: The batch that SegOps has answered.
        accepted: How many of its events SegOps accepted.
        letter: Where given, a copy of the whole batch is kept in the dead letters.
    """

    batch: Batch
    accepted: int
    letter: Letter | None = None


@dataclass(frozen=True)
class Take:
    """Which batch to take next.

    Attributes:
        limit: Rows in a batch at most.
        minimum: Take none unless so many rows wait; a batch that was taken before is taken.
        max_bytes: Bytes of a new batch's body at most, unless one row alone has more; None
            for no limit.
        skip: Identities to pass over.
        aside: Keys of batches to pass over.
    """

    limit: int
    minimum: int = 1
    max_bytes: int | None = None
    skip: Sequence[str] = ()
    aside: Sequence[str] = ()


@dataclass(frozen=True)
class Taken:
    """The next batch, if there is one, and the damaged rows that were found on the way.

    Attributes:
        batch: The batch to send now; it is marked in flight, on disk.
        damaged: Rows whose checksum failed; they are in the dead letters.
    """

    batch: Batch | None
    damaged: int = 0


@dataclass(frozen=True)
class Counts:
    """How the outbox stands.

    Attributes:
        pending: Events that wait to be sent.
        dead: Rows in the dead letters.
        accepted_total: Events that SegOps has accepted, ever.
        dropped_total: Events that gave way to new ones, ever.
        lost_total: Events that a damaged file has lost, as far as it is known, ever.
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
    last_id: int
    oldest_at: float | None
    last_accepted_at: float | None
    queue_bytes: int
