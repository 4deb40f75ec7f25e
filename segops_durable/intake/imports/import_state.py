"""What is stored of an import that is under way: where it is, and how to know its file again."""

from __future__ import annotations

import uuid
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from segops_durable.intake.imports.sketch import is_within, merged
from segops_durable.intake.sources.source import BEGINNING, Source, SourcePlace

if TYPE_CHECKING:
    from segops_durable.intake.imports.rejects import Rejects
    from segops_durable.intake.sources.source import Chunk

_STEP_BYTES = 1 << 20
_MOST_HEAD = 1 << 16


@dataclass(frozen=True, kw_only=True)
class ImportState:
    """How far a file has been imported.

    Attributes:
        place: Where to go on.
        stored: Events stored so far.
        rejected: Records rejected so far.
        rejects: The file that those are in, and its size.
        prefix: The size of the file's beginning, and its hash.
        tail: A hash of what was read last; empty if nothing can tell.
        mapping: A hash of how records are read; empty in what an earlier version stored.
        identity: What this import is called in the file of rejects.
        replaced: Imports of this file that were begun anew; their rejects count no more.
        path: Where the file was; empty for a stream.
        seen: The file's size and its time, in nanoseconds: when it was read last, or where a
            place is no byte, when it was begun.
        checksum: A CRC-32 of all bytes up to the place; where a place is no byte, of the end.
        sketch: Hashes of some of its first records.
    """

    place: SourcePlace = BEGINNING
    stored: int = 0
    rejected: int = 0
    rejects: tuple[str, int]
    prefix: tuple[int, str]
    tail: str = ""
    mapping: str = ""
    identity: str = ""
    replaced: tuple[str, ...] = ()
    path: str = ""
    seen: tuple[int, int] = (0, 0)
    checksum: int = 0
    sketch: tuple[int, ...] = ()

    @classmethod
    def beginning(
        cls, source: Source, rejects: Rejects, mapping: str, before: ImportState | None = None
    ) -> ImportState:
        """Of a file of which nothing was imported, or that is begun anew."""
        known = () if before is None else (*before.replaced, before.identity)
        return cls(
            rejects=rejects.mark(),
            prefix=source.prefix(),
            mapping=mapping,
            identity=uuid.uuid4().hex[:16],
            replaced=tuple(each for each in known if each),
            path=path_of(source),
            seen=seen_of(source),
            checksum=checksum_of_end(source, seen_of(source)[0]),
        )

    @classmethod
    def of(cls, position: dict[str, Any]) -> ImportState:
        """Read what was stored, also by an earlier version."""
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in position.items()
            if name in cls.__dataclass_fields__
        }
        return cls(**{**known, "place": SourcePlace(*position["place"])})

    @property
    def is_untouched(self) -> bool:
        """Whether nothing has come of it yet, so that nothing is lost if it begins again."""
        return not self.stored and not self.rejected

    def as_position(self) -> dict[str, Any]:
        """What is stored of it, as JSON has it."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
        }

    def after(
        self, source: Source, chunk: Chunk, *, stored: int, rejected: int, rejects: Rejects
    ) -> ImportState:
        """The state after another chunk."""
        begins = is_within(self.place.line)
        following = replace(
            self,
            place=chunk.end,
            stored=self.stored + stored,
            rejected=self.rejected + rejected,
            rejects=rejects.mark(),
            identity=self.identity or uuid.uuid4().hex[:16],
            sketch=tuple(merged([*self.sketch], chunk.records)) if begins else self.sketch,
        )
        tail = source.tail(chunk.end)
        if not tail:
            return following
        return replace(
            following,
            prefix=source.prefix(min(chunk.end.offset, _MOST_HEAD)),
            tail=tail,
            seen=seen_of(source),
            checksum=self._checksum_to(source, chunk.end.offset),
        )

    def _checksum_to(self, source: Source, end: int) -> int:
        if self.place.offset and not self.checksum:
            return 0  # an earlier version began it
        return checksum(source, self.place.offset, end, self.checksum if self.place.offset else 0)


def checksum(source: Source, start: int, end: int, before: int = 0) -> int:
    """A CRC-32 of a part of a source's file."""
    found = before
    if source.path is None:
        return found
    with source.path.open("rb") as file:
        file.seek(start)
        left = end - start
        while left > 0 and (data := file.read(min(left, _STEP_BYTES))):
            found = zlib.crc32(data, found)
            left -= len(data)
    return found


def checksum_of_end(source: Source, size: int) -> int:
    """A CRC-32 of the end of a file that has so many bytes."""
    return checksum(source, max(0, size - _MOST_HEAD), size)


def path_of(source: Source) -> str:
    """Where a source's file is; empty for a stream."""
    return "" if source.path is None else str(source.path.absolute())


def seen_of(source: Source) -> tuple[int, int]:
    """The size of a source's file, and its time in nanoseconds; zeros for a stream."""
    if source.path is None:
        return 0, 0
    found = source.path.stat()
    return found.st_size, found.st_mtime_ns
