"""What moves in and out of the outbox, as frozen values."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from segops_durable.identity import NO_IDENTITY
from segops_durable.outbox.records.typed import as_bytes, is_time
from segops_durable.outbox.records.walking import HIGHEST_ID
from segops_durable.system.clock import Moment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from segops_durable.outbox.records.letters import Letter

_BODY_START, _BODY_END = b'{"events":[', b"]}"
_STAMP = struct.Struct("<ddq")
_OLD_STAMP = struct.Struct("<dq")

_LONGEST_UPTIME = 1e10
_NOTHING = type(None)
_STORED_TYPES = {
    (int, bytes, float, int, str, float, int),
    (int, bytes, float, int, str, _NOTHING, _NOTHING),
}
"""What the values of a row are, in the order of its columns; with the other clock, or without."""

_NO_CHECKSUM = -1


class NewRow(NamedTuple):
    """An event on its way in, in the order of the INSERT's columns."""

    data: bytes
    tracked_at: float
    crc: int
    identity: str
    uptime: float | None
    boot: int | None


NewRowValues: TypeAlias = tuple[bytes, float, int, str, "float | None", "int | None"]
"""The same without names, which take thrice as long to make: for many at once."""


class Checkpoint(NamedTuple):
    """How far a job has come, committed with the rows that it has come so far with.

    Attributes:
        name: The job's name.
        position: Whatever the job finds its place by: any value that JSON can carry.
        follows: The position that has to be the last one; None for any. So of two processes
            that do the same job, one is stopped.
        is_first: Whether there may be none yet. Defaults to False.
    """

    name: str
    position: Any
    follows: Any = None
    is_first: bool = False


def new_row(data: bytes, moment: Moment, identity: str) -> NewRow:
    """Make a row of an encoded event, with the checksum that will be verified on the way out."""
    crc = checksum(data, identity, *moment)
    return NewRow(data, moment.wall, crc, identity, moment.uptime, moment.boot)


def new_rows(
    events: Sequence[bytes], identity: str, moments: Iterable[Moment]
) -> list[NewRowValues]:
    """Make rows of many events, as `new_row` does; most of them have one moment in common.

    Args:
        events: The encoded events.
        identity: Whose they are.
        moments: When each was tracked.
    """
    rows: list[NewRowValues] = []
    last, end = None, b""
    wall, uptime, boot = 0.0, None, None
    crc32 = zlib.crc32
    for data, moment in zip(events, moments, strict=True):
        if moment is not last:
            last, (wall, uptime, boot) = moment, moment
            end = identity.encode() + _stamp(wall, uptime, boot)
        rows.append((data, wall, crc32(end, crc32(data)), identity, uptime, boot))
    return rows


def checksum(
    data: bytes, identity: str, tracked_at: float, uptime: float | None, boot: int | None
) -> int:
    """What notices a changed event, a wrong time, or attribution to somebody else."""
    return zlib.crc32(identity.encode() + _stamp(tracked_at, uptime, boot), zlib.crc32(data))


def _stamp(tracked_at: float, uptime: float | None, boot: int | None) -> bytes:
    if uptime is None or boot is None:
        return _STAMP.pack(tracked_at, -1.0, -1)
    return _STAMP.pack(tracked_at, uptime, boot)


def _old_checksum(data: bytes, identity: str, uptime: float | None, boot: int | None) -> int:
    """The checksum of files of the first versions, which left out the time of day."""
    stamp = b"" if uptime is None and boot is None else _OLD_STAMP.pack(uptime, boot)
    return zlib.crc32(stamp, zlib.crc32(identity.encode(), zlib.crc32(data)))


def safe_moment(wall: object, uptime: object, boot: object) -> Moment:
    """When a row was tracked, as far as what the file says can be a time.

    A damaged time of day is corrected from the other clock, if that one is whole.
    """
    is_known = isinstance(uptime, float) and 0.0 <= uptime < _LONGEST_UPTIME
    known = wall + 0.0 if isinstance(wall, float) and is_time(wall) else 0.0  # no negative zero
    if is_known and isinstance(uptime, float) and isinstance(boot, int):
        return Moment(known, uptime, boot)
    return Moment(known)


class Row(NamedTuple):
    """A stored event, in the order of the SELECT's columns."""

    id: int
    data: bytes
    tracked_at: float
    crc: int
    identity: str
    uptime: float | None
    boot: int | None

    @classmethod
    def of(cls, values: Sequence[Any]) -> Row:
        """Read a row; where a value is of another type than was stored, it is not intact."""
        if tuple(map(type, values)) in _STORED_TYPES:
            return cls(*values)
        row_id, data, tracked_at, _crc, identity, uptime, boot = values
        moment = safe_moment(tracked_at, uptime, boot)
        identity = identity if isinstance(identity, str) else str(identity)
        return cls(row_id, as_bytes(data), moment.wall, _NO_CHECKSUM, identity, *moment[1:])

    @property
    def moment(self) -> Moment:
        """When it was tracked, as far as that can be a time."""
        return safe_moment(self.tracked_at, self.uptime, self.boot)

    @property
    def is_intact(self) -> bool:
        """Whether the row is as it was stored; SQLite itself would not notice.

        In a damaged file a value may be of any type, whatever the table says.
        """
        mine = (self.data, self.identity)
        stamp = (self.uptime, self.boot)
        try:
            return (
                checksum(*mine, self.tracked_at, *stamp) == self.crc
                or _old_checksum(*mine, *stamp) == self.crc
            )
        except (TypeError, AttributeError, ValueError, OverflowError, struct.error):
            return False


def read_rows(found: Sequence[Sequence[Any]]) -> list[Row]:
    """Read rows, each as `Row.of` does; nearly all are what was stored, and take a fifth of it."""
    if {tuple(map(type, values)) for values in found} <= _STORED_TYPES:
        return list(map(Row._make, found))
    return [Row.of(values) for values in found]


def damaged_among(rows: Sequence[Row]) -> list[Row]:
    """Those that are not intact, by one checksum each where nothing is wrong."""
    crc32, pack = zlib.crc32, _STAMP.pack
    name, end = "", b""
    suspects: list[Row] = []
    try:
        for row in rows:
            _id, data, tracked_at, crc, identity, uptime, boot = row
            if identity != name:
                name, end = identity, identity.encode()
            if uptime is None or boot is None:
                uptime, boot = -1.0, -1
            if crc32(end + pack(tracked_at, uptime, boot), crc32(data)) != crc:
                suspects.append(row)
    except (TypeError, ValueError, OverflowError, struct.error):  # no stored row has such values
        suspects = list(rows)
    return [row for row in suspects if not row.is_intact]


def body_of(rows: Sequence[Row]) -> bytes:
    """The body that these rows make: the stored bytes, joined."""
    return _BODY_START + b",".join([row.data for row in rows]) + _BODY_END


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
        assigned: As whose events those of `WHOEVER` are sent; empty where that is open.
        is_new: Whether nobody can have sent it: it was made just now, or has not left since.
        body: The request's body: the stored bytes, joined. Defaults to those of the rows.
    """

    rows: tuple[Row, ...]
    key: str
    assigned: str = ""
    is_new: bool = False
    body: bytes = b""

    def __post_init__(self) -> None:
        if not self.body:
            object.__setattr__(self, "body", body_of(self.rows))

    @property
    def identity(self) -> str:
        """Whose events these are; `NO_IDENTITY` under a secret key."""
        return self.rows[0].identity

    @property
    def sent_as(self) -> str:
        """The identity that they are sent as."""
        return self.assigned or self.identity

    @property
    def first_id(self) -> int:
        """The oldest row's id."""
        return self.rows[0].id

    @property
    def last_id(self) -> int:
        """The newest row's id."""
        return self.rows[-1].id

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
        identity: Whose. Defaults to those of events under a secret key.
        minimum: Take none unless so many rows wait; a batch that was taken before is taken.
        small_up_to: A smaller one may hold the rows up to this one. Defaults to none.
        up_to: Take none that begins behind this row. Defaults to any.
        max_bytes: Bytes of a new batch's body at most, unless one row alone has more; None
            for no limit.
        aside: Keys of batches to pass over.
        unsent: Keys of batches that have not left: they may be made anew, and larger.
    """

    limit: int
    identity: str = NO_IDENTITY
    minimum: int = 1
    small_up_to: int = 0
    up_to: int = HIGHEST_ID
    max_bytes: int | None = None
    aside: Sequence[str] = ()
    unsent: Collection[str] = ()


@dataclass(frozen=True)
class Taken:
    """The next batch, if there is one, and the damaged rows that were found on the way.

    Attributes:
        batch: The batch to send now; it is marked in flight, on disk.
        damaged: Rows whose checksum failed; they are in the dead letters.
        made: The keys of the batches that the last one was divided into.
    """

    batch: Batch | None
    damaged: int = 0
    made: tuple[str, ...] = ()


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
