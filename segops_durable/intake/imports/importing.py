"""The import itself: chunk after chunk, each stored in one transaction with the place after it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from segops_durable.errors import ConfigurationError, QueueFullError
from segops_durable.errors.plain_text import shown
from segops_durable.events import is_unicode
from segops_durable.intake.encoded import Encoded, as_given
from segops_durable.intake.imports.heads import check_head, chunks_of, fingerprint_of
from segops_durable.intake.imports.import_state import ImportState
from segops_durable.intake.imports.known import Known
from segops_durable.intake.imports.making import Made, Maker
from segops_durable.intake.imports.places import Found, find
from segops_durable.intake.imports.plan import describe
from segops_durable.intake.imports.prepared import Prepared
from segops_durable.intake.imports.rejects import Rejects
from segops_durable.intake.imports.rejects_index import RejectsIndex
from segops_durable.intake.imports.repairs import Repairs, unmended
from segops_durable.intake.imports.results import ImportResult, Progress
from segops_durable.intake.imports.streams import passed_over
from segops_durable.intake.sources.lines import longest_line
from segops_durable.intake.sources.source import BEGINNING
from segops_durable.outbox import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.identity import Person
    from segops_durable.intake.intake import Intake
    from segops_durable.intake.listener import Listener
    from segops_durable.intake.mapping.field_map import FieldMap
    from segops_durable.intake.sources.source import Chunk, Source
    from segops_durable.outbox import Outbox
    from segops_durable.system.clock import Clock


class Importer:
    """Imports sources into an outbox. `SegOpsClient.importer` makes one.

    Args:
        outbox: Where to; it keeps the place as well.
        intake: What stores events in it.
        listener: Hears of them.
        clock: The time, for events that do not say when they occurred.
        field_map: Which column is what.
        max_rows: Records in a transaction at most; None for no limit of the user's.
        max_errors: Records that may be rejected; None for any number.

    Attributes:
        repairs: Imports what was mended in files of rejects.
        stored: Events that it has stored so far.
        is_worth_waiting: Asked where the outbox stays full, whether the append is to be tried
            again. Defaults to no.
    """

    def __init__(
        self,
        outbox: Outbox,
        intake: Intake,
        listener: Listener,
        clock: Clock,
        *,
        field_map: FieldMap,
        max_rows: int | None = None,
        max_errors: int | None = None,
    ) -> None:
        self._outbox = outbox
        self._known = Known(outbox)
        self._rejects = RejectsIndex()
        self._intake = intake
        self._listener = listener
        self._clock = clock
        self._field_map = field_map
        self._max_rows = max_rows
        screen = intake.screened if intake.is_screened else None
        self._maker = Maker(field_map, intake.largest, max_errors, screen)
        self.stored: int = 0
        self.is_worth_waiting: Callable[[], bool] = lambda: False
        self.repairs: Repairs = Repairs(outbox, intake, listener, clock, self._maker)

    def prepare(
        self, source: Source, job: str | None = None, *, is_restart: bool = False
    ) -> Prepared:
        """Look at a source, and refuse what cannot be meant; nothing is stored.

        Args:
            source: Where from.
            job: A name to find the place by, instead of the file's content. A stream has no
                other.
            is_restart: Begin anew, whatever was stored of it.

        Raises:
            ConfigurationError: The job's name is no text; a column is not there; or it was
                imported with another mapping.
            ImportStoppedError: The file has changed.
            OSError: It cannot be read.
        """
        if job is not None:
            _check_job(job)
        source.most_rows = min(source.most_rows, self._max_rows or source.most_rows)
        source.longest_line = longest_line(self._intake.largest)
        found = self._find(source, job, is_restart=is_restart)
        if source.path is None and found.state is not None:
            rest = passed_over(source, found.state)
        else:
            rest = chunks_of(source, BEGINNING if found.state is None else found.state.place)
        first = next(rest, None)
        if source.path is not None:
            # or a file that is refused stays open until the garbage collector comes, and Windows
            # lets nobody delete or rename it
            rest.close()
        if found.state is None or found.state.is_untouched:
            check_head(source, first, self._field_map)
        plan = describe(source, first, self._field_map, self._maker, found)
        is_stream = source.path is None
        return Prepared(
            source,
            job,
            is_restart,
            found,
            plan,
            first if is_stream else None,  # of a thousand files that are prepared at once
            rest if is_stream else None,
        )

    def run(
        self,
        prepared: Prepared,
        rejects: Path | None = None,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> ImportResult:
        """Import what has not been imported yet.

        Args:
            prepared: Where from.
            rejects: Where bad records go; None counts them only.
            on_progress: Called after each chunk.

        Raises:
            ConfigurationError: It was imported with another mapping meanwhile.
            ImportStoppedError: Too many records were bad, or the file has changed.
            CheckpointConflictError: Another process imports the same file.
            SegOpsError: They could not be stored.
        """
        source = prepared.source
        notes = Rejects(rejects, source.name, self._rejects)
        person = self._intake.person(self._listener)
        self._maker.tally.clear()
        self._maker.dropped = 0
        found = prepared.found
        # between `prepare` and here another process, or another of these files, may have imported
        # a copy of it: what is stored of that is found, and not stored twice
        if source.path is not None:
            source.renew()
            found = self._find(source, prepared.job, is_restart=prepared.is_restart)
        before, position = self._begin(source, found, notes, person)
        state = before
        for chunk in prepared.unread() or chunks_of(source, before.place):
            made = self._make(source, chunk, person, state)
            if made.rejected and position is None:
                # by its name the lines that a kill leaves there are found, and taken away
                position = self._store_beginning(before, found, person)
            notes.append(made.rejected)
            stored, rejected = len(made.encoded), len(made.rejected)
            state = state.after(source, chunk, stored=stored, rejected=rejected, rejects=notes)
            source.check_unchanged()
            position = self._store(made, person, found.key, state, position)
            if on_progress is not None:
                on_progress(_progress(source, before, state))
        return ImportResult(
            state.stored - before.stored,
            state.rejected - before.rejected,
            before.stored,
            source.is_incomplete,
            unmended(self._outbox, before) if before.rejected else 0,
            dict(self._maker.tally),
            self._maker.dropped,
        )

    def _find(self, source: Source, job: str | None, *, is_restart: bool) -> Found:
        mapping = fingerprint_of(source, self._field_map)
        return find(self._known, source, mapping, job=job, is_restart=is_restart)

    def _begin(
        self, source: Source, found: Found, notes: Rejects, person: Person | None
    ) -> tuple[ImportState, Any]:
        """Go on at the place, or begin; return it also as it is stored, None where it is not.

        A beginning is stored with the first events: of many small files each would take a
        transaction more.
        """
        mapping = fingerprint_of(source, self._field_map)
        if found.state is not None:
            notes.return_to(found.state.rejects, found.state.identity, found.state.place.line)
            return replace(found.state, mapping=mapping), found.position
        beginning = ImportState.beginning(source, notes, mapping, found.before)
        if found.before is None:
            return beginning, None
        notes.remove(found.before.identity)
        beginning = replace(beginning, rejects=notes.mark())
        return beginning, self._store_beginning(beginning, found, person)

    def _store_beginning(self, beginning: ImportState, found: Found, person: Person | None) -> Any:  # noqa: ANN401 - JSON
        """Write down that an import begins; return it as it is stored."""
        position = beginning.as_position()
        if found.key is not None:
            is_first = found.position is None
            checkpoint = Checkpoint(found.key, position, found.position, is_first=is_first)
            self._intake.append(Encoded([], []), person, checkpoint, self._listener)
            self._known.note(found.key, position)
        return position

    def _store(
        self,
        made: Made,
        person: Person | None,
        key: str | None,
        state: ImportState,
        follows: Any,  # noqa: ANN401 - JSON
    ) -> Any:  # noqa: ANN401 - JSON
        """Store what was made with the place after it, if nobody else has come further."""
        position = state.as_position()
        is_first = follows is None
        checkpoint = None if key is None else Checkpoint(key, position, follows, is_first=is_first)
        events = Encoded(made.encoded, made.moments, as_given(made.priorities))
        while True:
            try:
                self._intake.append(events, person, checkpoint, self._listener)
                break
            except QueueFullError:
                if not self.is_worth_waiting():
                    raise
        self.stored += len(made.encoded)
        if key is not None:
            self._known.note(key, position)
        return position

    def _make(
        self, source: Source, chunk: Chunk, person: Person | None, state: ImportState
    ) -> Made:
        return self._maker.make(
            source,
            chunk.records,
            self._clock.moment(),
            None if person is None else person.anonymous_id,
            identity=state.identity,
            rejected=state.rejected,
        )


def _progress(source: Source, before: ImportState, now: ImportState) -> Progress:
    stored, rejected = now.stored - before.stored, now.rejected - before.rejected
    return Progress(source.consumed, source.size, stored, rejected)


def _check_job(name: object) -> None:
    if not isinstance(name, str) or not is_unicode(name):
        problem = f"job must be a text that can be encoded, got {shown(name)}"
        raise ConfigurationError(problem, field="job")
