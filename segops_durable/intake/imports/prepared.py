"""A source that was looked at before anything of it, or of those beside it, is stored."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segops_durable.intake.imports.places import Found
    from segops_durable.intake.sources.source import Chunk, Source


@dataclass
class Prepared:
    """A source that has been looked at, of which nothing has been stored yet.

    Attributes:
        source: The source.
        job: The name to find its place by, or None.
        is_restart: Whether it is begun anew.
        found: Its place.
        plan: What it is taken for, in a line.
        first: The first chunk after that, of a stream.
        rest: The chunks after that, of a stream, which cannot be read again.
    """

    source: Source
    job: str | None
    is_restart: bool
    found: Found
    plan: str
    first: Chunk | None
    rest: Iterator[Chunk] | None

    def unread(self) -> Iterator[Chunk] | None:
        """The chunks of a stream that are not imported yet; None of a file, which is read anew."""
        if self.rest is None:
            return None
        return chain(() if self.first is None else (self.first,), self.rest)
