"""The import itself: chunk after chunk, each stored in one transaction with the place after it."""

from __future__ import annotations

import csv
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.clock import Moment
from segops_durable.errors import ImportStoppedError, SegOpsError
from segops_durable.importer.reading import write_json
from segops_durable.importer.rejects import Rejects
from segops_durable.importer.state import State
from segops_durable.outbox import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable.clock import Clock
    from segops_durable.delivery import Delivery
    from segops_durable.events import Event
    from segops_durable.importer.mapping import FieldMap
    from segops_durable.importer.sources import Chunk, Source
    from segops_durable.intake import Intake
    from segops_durable.outbox import Outbox
    from segops_durable.users import Person


@dataclass(frozen=True)
class ImportResult:
    """How an import went.

    Attributes:
        stored: Events stored by this call.
        rejected: Records rejected by this call.
        stored_before: Events that earlier calls had stored from the same file.
        is_incomplete: Whether the last line is not all there, as somebody is writing it. It
            was left, and is read by the next call.
    """

    stored: int
    rejected: int
    stored_before: int
    is_incomplete: bool = False


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


class Importer:
    """Imports sources into an outbox.

    Args:
        outbox: Where to; it keeps the place as well.
        intake: What stores events in it.
        delivery: Hears of them.
        clock: The time, for events that do not say when they occurred.
        field_map: Which column is what.
        max_rows: Records in a transaction at most; None for no limit of the user's.
        max_errors: Records that may be rejected; None for any number.
        on_progress: Called after each chunk.
    """

    def __init__(
        self,
        outbox: Outbox,
        intake: Intake,
        delivery: Delivery,
        clock: Clock,
        *,
        field_map: FieldMap,
        max_rows: int | None = None,
        max_errors: int | None = None,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> None:
        self._outbox = outbox
        self._intake = intake
        self._delivery = delivery
        self._clock = clock
        self._field_map = field_map
        self._max_rows = max_rows
        self._max_errors = max_errors
        self._on_progress = on_progress

    def run(
        self, source: Source, rejects: Path | None = None, job: str | None = None
    ) -> ImportResult:
        """Import what has not been imported yet.

        Args:
            source: Where from.
            rejects: Where bad records go; None counts them only.
            job: A name to find the place by, instead of the file's identity. A stream has no
                other.

        Raises:
            ImportStoppedError: Too many records were bad, or the file has changed.
            CheckpointConflictError: Another process imports the same file.
            SegOpsError: They could not be stored.
        """
        key = source.key() if job is None else f"import:{job}"
        notes = Rejects(rejects, source.name)
        source.most_rows = min(source.most_rows, self._max_rows or source.most_rows)
        person = self._intake.person(self._delivery)
        before = self._begin(source, notes, key, person)
        state = before
        for chunk in _chunks(source, before):
            found = self._read(source, chunk, person, state)
            notes.append(found.rejected)
            following = state.after(
                source,
                chunk.end,
                stored=len(found.encoded),
                rejected=len(found.rejected),
                rejects=notes,
            )
            self._store(found, person, key, following, after=state)
            state = following
            if self._on_progress is not None:
                stored, rejected = state.stored - before.stored, state.rejected - before.rejected
                self._on_progress(Progress(source.consumed, source.size, stored, rejected))
        return ImportResult(
            state.stored - before.stored,
            state.rejected - before.rejected,
            before.stored,
            source.is_incomplete,
        )

    def _begin(
        self, source: Source, notes: Rejects, key: str | None, person: Person | None
    ) -> State:
        """Find the place to go on at; where there is none, write down the beginning."""
        is_named = key != source.key()
        found = self._outbox.checkpoint(key) if key else None
        known = State.of(found, source, is_named=is_named)
        if known is not None:
            notes.return_to(known.rejects)
            return known
        beginning = State.beginning(source, notes)
        self._store(_Found([], [], []), person, key, beginning)
        return beginning

    def _store(
        self,
        found: _Found,
        person: Person | None,
        key: str | None,
        state: State,
        after: State | None = None,
    ) -> None:
        """Store what was found with the place after it, if nobody else has come further."""
        follows = None if after is None else after.as_position()
        checkpoint = None if key is None else Checkpoint(key, state.as_position(), follows)
        self._intake.append(found.encoded, found.moments, person, checkpoint, self._delivery)

    def _read(self, source: Source, chunk: Chunk, person: Person | None, state: State) -> _Found:
        now = self._clock.moment()
        plain = Moment(now.wall)
        anonymous_id = None if person is None else person.anonymous_id
        found = _Found([], [], [])
        for number, record in chunk.records:
            event, data = self._try_encode(source, record, now.wall, anonymous_id)
            if event is None:
                reason = str(data)
                found.reject(source, number, record, reason)
                self._check_errors(source, number, reason, state.rejected + len(found.rejected))
            elif isinstance(data, bytes):
                found.encoded.append(data)
                found.moments.append(now if event.occurred_at is None else plain)
        return found

    def _try_encode(
        self,
        source: Source,
        record: Any,  # noqa: ANN401 - what the source yields
        now: float,
        anonymous_id: str | None,
    ) -> tuple[Event | None, bytes | str]:
        """Make the bytes of a record's event; or None, and say why there are none."""
        try:
            fields, is_safe = source.parse(record)
            event = self._field_map.event_of(fields)
            writer = write_json if is_safe else None
            return event, self._intake.encode(event, now, anonymous_id, writer)
        except (ValueError, TypeError, RecursionError) as error:  # also what is nested too deep
            return None, str(error)

    def _check_errors(self, source: Source, number: int, reason: str, count: int) -> None:
        if self._max_errors is not None and count > self._max_errors:
            raise ImportStoppedError(
                f"{source.name}, line {number}: {reason}; {count} lines were rejected in all",
                file=source.name,
                line=number,
                hint=f"{self._max_errors} are allowed. Allow more, and it goes on; then mend what "
                "was rejected, and import that as a file of its own",
            )


def _chunks(source: Source, state: State) -> Iterator[Chunk]:
    """Read a source from a place on; tell where it cannot be read any further."""
    try:
        yield from source.chunks(state.place)
    except SegOpsError:
        raise
    except (EOFError, ValueError, csv.Error, zlib.error) as error:  # of gzip, and of pyarrow
        raise ImportStoppedError(
            f"{source.name} is cut off or damaged: {error}",
            file=source.name,
            hint="What could be read of it before is stored; get the file again",
        ) from error


class _Found(NamedTuple):
    """What was made of a chunk."""

    encoded: list[bytes]
    moments: list[Moment]
    rejected: list[dict[str, Any]]

    def reject(self, source: Source, number: int, record: Any, reason: str) -> None:  # noqa: ANN401 - what the source yields
        """Note a bad record, as it goes into the file of them."""
        text = source.text(record)
        self.rejected.append(
            {"file": source.name, "line": number, "reason": reason, "record": text}
        )
