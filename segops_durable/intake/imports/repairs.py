"""The import of what was mended, each record once, however often its file is imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from segops_durable.events import NORMAL, priority_of_event
from segops_durable.intake.encoded import Encoded, as_given
from segops_durable.intake.imports.known import PREFIX as IMPORTS
from segops_durable.intake.imports.line_ranges import joined, within
from segops_durable.intake.imports.mended_lines import PREFIX, mended_of, reread
from segops_durable.intake.imports.results import ImportResult, total_of
from segops_durable.outbox import Checkpoint
from segops_durable.system.clock import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segops_durable.identity import Person
    from segops_durable.intake.imports.import_state import ImportState
    from segops_durable.intake.imports.making import Maker
    from segops_durable.intake.imports.mended_lines import Mended
    from segops_durable.intake.intake import Intake
    from segops_durable.intake.listener import Listener
    from segops_durable.outbox import Outbox
    from segops_durable.system.clock import Clock

    OnBad = Callable[[Mended, str], object]


class Repairs:
    """Imports files of rejects.

    Args:
        outbox: Where to; it keeps as well which records of an import were mended.
        intake: What stores events in it.
        listener: Hears of them.
        clock: The time, for events that do not say when they occurred.
        maker: Makes events of records.
    """

    def __init__(
        self, outbox: Outbox, intake: Intake, listener: Listener, clock: Clock, maker: Maker
    ) -> None:
        self._outbox = outbox
        self._intake = intake
        self._listener = listener
        self._clock = clock
        self._maker = maker

    def check(self, path: Path) -> None:
        """Refuse what is no file of rejects; nothing is stored.

        Args:
            path: The file.

        Raises:
            ConfigurationError: It is none, or is of another mapping.
            OSError: It cannot be read.
        """
        for _ in mended_of(path, self._maker.mapping):
            continue

    def run(self, path: Path, on_bad: OnBad | None = None) -> ImportResult:
        """Import what was mended in a file, and was not imported from it before.

        Args:
            path: The file.
            on_bad: Called with each record that is still bad, and the reason.

        Raises:
            ConfigurationError: It is no file of rejects, or of another mapping.
            CheckpointConflictError: Another process imports the same records.
            SegOpsError: They could not be stored.
            OSError: It cannot be read.
        """
        self.check(path)  # all of it, before any of it is stored
        person = self._intake.person(self._listener)
        replaced = {
            identity
            for state in self._outbox.checkpoints.positions(IMPORTS).values()
            if isinstance(state, dict)
            for identity in state.get("replaced", ())
        }
        return total_of(
            [
                self._give_up(group, on_bad)
                if group[0].identity in replaced
                else self._store(group, person, on_bad)
                for group in mended_of(path, self._maker.mapping)
            ]
        )

    def _give_up(self, group: Sequence[Mended], on_bad: OnBad | None) -> ImportResult:
        reason = "its import was begun anew since, and has read the record again"
        return ImportResult(0, self._tell(group, reason, on_bad), 0)

    def _tell(self, group: Sequence[Mended], reason: str, on_bad: OnBad | None) -> int:
        for each in group:
            if on_bad is not None:
                on_bad(each, reason)
        return len(group)

    def _store(
        self, group: Sequence[Mended], person: Person | None, on_bad: OnBad | None
    ) -> ImportResult:
        """Store what is new of one import's records, with the note that they are."""
        key = PREFIX + group[0].identity
        position = self._outbox.checkpoints.last(key)
        done = position["done"] if position else []
        now = self._clock.moment()
        anonymous_id = None if person is None else person.anonymous_id
        encoded: dict[int, bytes] = {}
        moments: list[Moment] = []
        priorities: list[str] = []
        dropped: list[int] = []
        rejected = known = 0
        for each in group:
            if within(done, each.line) or each.line in encoded:
                known += 1
                continue
            data, moment, priority = self._try_make(each, now, anonymous_id)
            if not data:
                dropped.append(each.line)
                continue
            if isinstance(data, str):
                rejected += self._tell([each], data, on_bad)
                continue
            encoded[each.line] = data
            moments.append(moment)
            priorities.append(priority)
        if encoded or dropped:
            following = {"done": joined(done, [*encoded, *dropped])}
            checkpoint = Checkpoint(key, following, position, is_first=position is None)
            events = Encoded([*encoded.values()], moments, as_given(priorities))
            self._intake.append(events, person, checkpoint, self._listener)
        return ImportResult(len(encoded), rejected, known)

    def _try_make(
        self, mended: Mended, now: Moment, anonymous_id: str | None
    ) -> tuple[bytes | str, Moment, str]:
        """The bytes of a record's event, or why there are none; when it was read, its priority."""
        try:
            source, record = reread(mended)
        except (ValueError, RecursionError) as error:
            return str(error), now, NORMAL
        event, data = self._maker.try_encode(source, record, now.wall, anonymous_id)
        is_now = event is not None and event.occurred_at is None
        priority = NORMAL if event is None else priority_of_event(event)
        return data, now if is_now else Moment(now.wall), priority


def unmended(outbox: Outbox, state: ImportState) -> int:
    """Records that an import has rejected, and nobody has dealt with.

    Those are mended and imported, or the file that they are in was removed.
    """
    path = state.rejects[0]
    if path and not Path(path).exists():
        return 0
    position = outbox.checkpoints.last(PREFIX + state.identity) if state.identity else None
    done = sum(last - first + 1 for first, last in position["done"]) if position else 0
    return max(0, state.rejected - done)
