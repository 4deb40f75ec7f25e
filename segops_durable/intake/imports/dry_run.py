"""An import that stores nothing: what would come of a source."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from segops_durable.intake.imports.heads import check_head, chunks_of, fingerprint_of
from segops_durable.intake.imports.known import Known
from segops_durable.intake.imports.making import Maker
from segops_durable.intake.imports.places import Found, find
from segops_durable.intake.imports.plan import describe
from segops_durable.intake.sources.lines import longest_line
from segops_durable.intake.sources.source import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segops_durable.intake.mapping.field_map import FieldMap
    from segops_durable.intake.sources.source import Chunk, Source
    from segops_durable.outbox import Outbox
    from segops_durable.system.clock import Clock

_SHOWN = 5


@dataclass
class Outlook:
    """What would come of a source.

    Attributes:
        plan: What it is taken for, in a line.
        stored: Events that would be stored.
        rejected: Records that would be rejected.
        stored_before: Events of it that are stored already.
        events: The first of them.
        rejects: The first that would be rejected, as they are written.
        notes: What would be done to values, in words, and how often.
    """

    plan: str
    stored: int = 0
    rejected: int = 0
    stored_before: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)


class DryRun:
    """Reads sources as an import does, and stores nothing.

    Args:
        outbox: The one that is there, to find places in; None if there is none.
        clock: The time, for events that do not say when they occurred.
        field_map: Which column is what.
        largest: Bytes of an encoded event at most.
    """

    def __init__(
        self, outbox: Outbox | None, clock: Clock, field_map: FieldMap, largest: int
    ) -> None:
        self._known = None if outbox is None else Known(outbox)
        self._clock = clock
        self._field_map = field_map
        self._largest = largest

    def run(self, source: Source, job: str | None = None, *, is_restart: bool = False) -> Outlook:
        """Read a source to its end.

        Args:
            source: Where from.
            job: A name to find the place by.
            is_restart: Whether it would begin anew.

        Raises:
            ConfigurationError: It cannot be meant, or was imported with another mapping.
            ImportStoppedError: The file has changed, or is damaged.
            OSError: It cannot be read.
        """
        source.longest_line = longest_line(self._largest)
        found = Found(None, None, None)
        if self._known is not None:
            mapping = fingerprint_of(source, self._field_map)
            found = find(self._known, source, mapping, job=job, is_restart=is_restart)
        maker = Maker(self._field_map, self._largest, None)
        with closing(
            chunks_of(source, BEGINNING if found.state is None else found.state.place)
        ) as chunks:  # a file that is refused would stay open until the collector comes
            return self._read(source, chunks, maker, found)

    def _read(self, source: Source, chunks: Iterator[Chunk], maker: Maker, found: Found) -> Outlook:
        chunk = next(chunks, None)
        if found.state is None:
            check_head(source, chunk, self._field_map)
        outlook = Outlook(describe(source, chunk, self._field_map, maker, found))
        if found.state is not None:
            outlook.stored_before = found.state.stored
        while chunk is not None:
            made = maker.make(source, chunk.records, self._clock.moment(), None)
            outlook.stored += len(made.encoded)
            outlook.rejected += len(made.rejected)
            missing = _SHOWN - len(outlook.events)
            outlook.events += [json.loads(data) for data in made.encoded[:missing]]
            outlook.rejects += made.rejected[: _SHOWN - len(outlook.rejects)]
            chunk = next(chunks, None)
        outlook.notes = dict(maker.tally)
        return outlook
