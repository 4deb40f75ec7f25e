"""A batch of rows: which one is to be taken, what is sent of it, and what became of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segops_durable.identity import NO_IDENTITY, identity_in
from segops_durable.outbox.records.columns import Rows
from segops_durable.outbox.records.walking import HIGHEST_ID

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from segops_durable.outbox.records.letters import Letter
    from segops_durable.outbox.records.rows import Row

_BODY_START, _BODY_END = b'{"events":[', b"]}"
_HASH_DIGITS = 16


def body_of(rows: Sequence[Row]) -> bytes:
    """The body that these rows make: the stored bytes, joined."""
    return _BODY_START + b",".join(Rows.of(rows).data) + _BODY_END


def body_size(rows: Sequence[Row]) -> int:
    """Bytes of the body that these rows make."""
    around = len(_BODY_START) + len(_BODY_END) + max(0, len(rows) - 1)
    return around + sum(len(row.data) for row in rows)


def digest_of(body: bytes) -> str:
    """The end of a batch's key: ids alone stand for others in a copy of the file."""
    return hashlib.sha256(body).hexdigest()[:_HASH_DIGITS]


def is_key_of(key: str, body: bytes) -> bool:
    """Whether a key is that of these bytes; those of the first versions do not say."""
    digits = key.rpartition("-")[2]
    return len(digits) != _HASH_DIGITS or digits == digest_of(body)


@dataclass(frozen=True)
class Batch:
    """Events that are sent in one request, again and again the same until it is settled.

    Attributes:
        rows: The events, oldest first, all of one identity.
        key: The ``Idempotency-Key``, the same at every attempt, also after a restart.
        assigned: As whose events those of `WHOEVER` are sent; empty where that is open.
        is_new: Whether nobody can have sent it: it was made just now, or has not left since.
        body: The request's body: the stored bytes, joined. Defaults to those of the rows.
    """

    rows: Sequence[Row]
    key: str
    assigned: str = ""
    is_new: bool = False
    body: bytes = b""

    def __post_init__(self) -> None:
        if not self.body:
            object.__setattr__(self, "body", body_of(self.rows))

    @property
    def identity(self) -> str:
        """Whose events these are, and of which priority: their lane."""
        return self.rows.identity if isinstance(self.rows, Rows) else self.rows[0].identity

    @property
    def sent_as(self) -> str:
        """The identity that they are sent as."""
        return self.assigned or identity_in(self.identity)

    @property
    def first_id(self) -> int:
        """The oldest row's id."""
        return self._ids[0]

    @property
    def last_id(self) -> int:
        """The newest row's id."""
        return self._ids[-1]

    @property
    def _ids(self) -> Sequence[int]:
        """Off the columns, if they are columns: there a row would be made each time."""
        return self.rows.ids if isinstance(self.rows, Rows) else [row.id for row in self.rows]

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return len(self.body)


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
        identity: Of which lane. Defaults to that of events under a secret key, of no priority.
        minimum: Take none unless so many rows wait; a batch that was taken before is taken.
        small_up_to: A smaller one may hold the rows up to this one. Defaults to none.
        up_to: Take none that begins behind this row. Defaults to any.
        max_bytes: Bytes of a new batch's body at most, unless one row alone has more; None
            for no limit.
        newest_share: Of the batches that are made while a backlog waits, the share that is made of
            the newest rows. Defaults to none.
        aside: Keys of batches to pass over.
        unsent: Keys of batches that have not left: they may be made anew, and larger.
    """

    limit: int
    identity: str = NO_IDENTITY
    minimum: int = 1
    small_up_to: int = 0
    up_to: int = HIGHEST_ID
    max_bytes: int | None = None
    newest_share: float = 0.0
    aside: Sequence[str] = ()
    unsent: Collection[str] = ()


@dataclass(frozen=True)
class Taken:
    """The next batch, if there is one, and the damaged rows that were found on the way.

    Attributes:
        batch: The batch to send now; it is marked in flight, on disk.
        damaged: Rows whose checksum failed; they are in the dead letters.
        made: The keys of the batches that the last one was divided into.
        expired: Rows that were too old to be sent; they are in the dead letters. Where there is
            no batch, more may be behind them.
    """

    batch: Batch | None
    damaged: int = 0
    made: tuple[str, ...] = ()
    expired: int = 0
