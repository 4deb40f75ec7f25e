"""How an import goes, and how it went."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class ImportResult:
    """How an import went.

    Attributes:
        stored: Events stored by this call.
        rejected: Records rejected by this call.
        stored_before: Events that earlier calls had stored from the same file; of a file of
            rejects, records of it that were stored already.
        is_incomplete: Whether the last line is not all there, as somebody is writing it. It
            was left, and is read by the next call.
        rejected_before: Records that earlier calls had rejected, and that were not mended and
            imported since, nor their file of rejects removed.
        notes: What was done to values, in words, and how often.
        dropped: Events that `before_store` dropped in this call.
    """

    stored: int
    rejected: int
    stored_before: int
    is_incomplete: bool = False
    rejected_before: int = 0
    notes: Mapping[str, int] = field(default_factory=dict)
    dropped: int = 0


def total_of(results: Sequence[ImportResult]) -> ImportResult:
    """How the import of several sources went, together."""
    notes: Counter[str] = Counter()
    for each in results:
        notes.update(each.notes)
    return ImportResult(
        sum(each.stored for each in results),
        sum(each.rejected for each in results),
        sum(each.stored_before for each in results),
        any(each.is_incomplete for each in results),
        sum(each.rejected_before for each in results),
        dict(notes),
        sum(each.dropped for each in results),
    )


class Progress(NamedTuple):
    """How far an import has come.

    Attributes:
        consumed: Bytes of the file that have been read, compressed as it is.
        size: Bytes of the file; None for a stream.
        stored: Events stored so far.
        rejected: Records rejected so far.
    """

    consumed: int
    size: int | None
    stored: int
    rejected: int
