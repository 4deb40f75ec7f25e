"""A row of the queue, on its way in and as it is read: an event, and when and whose it is."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from segops_durable.identity import lane_of
from segops_durable.outbox.records.typed import as_bytes, is_time
from segops_durable.system.clock import Moment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

Also: TypeAlias = "Callable[[sqlite3.Connection], object]"
"""What is done in the same transaction, before the rows are stored."""

STAMP = struct.Struct("<ddq")
"""The three times of a row, as its checksum has them."""
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


class Entry(NamedTuple):
    """What one call has to store, where several are stored together; as `commit.append` has it.

    Attributes:
        events: The bytes that will be sent.
        identity: Whose they are.
        moments: When each was tracked.
        checkpoint: How far the job has come that they are from; None where it is no job.
        priorities: Which go first; None where all are as any.
        also: What else is written in the same transaction, or refuses the call by raising a
            `SegOpsError`. Defaults to nothing.
    """

    events: Sequence[bytes]
    identity: str
    moments: Sequence[Moment]
    checkpoint: Checkpoint | None
    priorities: Sequence[str] | None = None
    also: Also | None = None


def new_row(data: bytes, moment: Moment, identity: str) -> NewRow:
    """Make a row of an encoded event, with the checksum that will be verified on the way out."""
    crc = checksum(data, identity, *moment)
    return NewRow(data, moment.wall, crc, identity, moment.uptime, moment.boot)


def new_rows(
    events: Sequence[bytes],
    identity: str,
    moments: Iterable[Moment],
    priorities: Sequence[str] | None = None,
) -> list[NewRowValues]:
    """Make rows of many events, as `new_row` does; most of them have one moment in common.

    Args:
        events: The encoded events.
        identity: Whose they are.
        moments: When each was tracked.
        priorities: Which go first. Defaults to none: all are as any.
    """
    if priorities is not None:
        lanes = (lane_of(identity, each) for each in priorities)
        return [new_row(*each) for each in zip(events, moments, lanes, strict=True)]
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
        return STAMP.pack(tracked_at, -1.0, -1)
    return STAMP.pack(tracked_at, uptime, boot)


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
