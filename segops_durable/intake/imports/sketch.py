"""A few of a file's records, as hashes: whether another file has some of them as well.

A file that was edited has most of its records still, wherever the edit was; another file, which
took its place, has none. The records with the least hashes are the same ones in both.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from segops_durable.intake.sources.source import Record

_KEPT = 64
_MOST_LINES = 5000


def sketch_of(records: Iterable[Record]) -> list[int]:
    """The least hashes of records, in order."""
    return merged([], records)


def merged(known: list[int], records: Iterable[Record]) -> list[int]:
    """The least hashes of what is known and of more records."""
    first = (_hash(record) for record in records if record.line <= _MOST_LINES)
    return sorted({*known, *first})[:_KEPT]


def is_within(line: int) -> bool:
    """Whether records after so many lines still belong to the beginning that is compared."""
    return line < _MOST_LINES


def _hash(record: Record) -> int:
    data = record.raw.strip() or repr(record.value).encode(errors="replace")
    return zlib.crc32(data)
