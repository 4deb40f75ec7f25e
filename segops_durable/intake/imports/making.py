"""Events of records: what is stored of a chunk, and what is rejected."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.errors import ImportStoppedError
from segops_durable.events import encode_checked, priority_of_event, timestamp_of, write_json
from segops_durable.intake.encoded import encode_within
from segops_durable.intake.imports.rejects import reject
from segops_durable.intake.mapping.usual import usual_of
from segops_durable.system.clock import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segops_durable.events import Event
    from segops_durable.intake.mapping.field_map import FieldMap
    from segops_durable.intake.sources.source import Record, Source

_MANY = 256
"""Records that are made at once."""


class Made(NamedTuple):
    """What was made of a chunk.

    Attributes:
        encoded: The events.
        moments: When each was read.
        rejected: The others, as they go into the file of them.
        priorities: Which go first, as `before_store` has it; empty where nobody looks at events.
    """

    encoded: list[bytes]
    moments: list[Moment]
    rejected: list[dict[str, Any]]
    priorities: list[str]


class Maker:
    """Makes events of records.

    Args:
        field_map: Which column is what.
        largest: Bytes of an encoded event at most.
        max_errors: Records that may be rejected; None for any number.
        screen: Gives the event that is to be stored instead, or None to drop it, as
            `Intake.screened` does; None where nobody looks at events.

    Attributes:
        mapping: A hash of what columns are taken for.
        tally: What was done to values, in words, and how often.
        dropped: Events that were dropped.
    """

    def __init__(
        self,
        field_map: FieldMap,
        largest: int,
        max_errors: int | None,
        screen: Callable[[Event], Event | None] | None = None,
    ) -> None:
        self._field_map = field_map
        self._usual = usual_of(field_map)
        self.mapping: str = field_map.fingerprint()
        self.tally: Counter[str] = Counter()
        self._largest = largest
        self._max_errors = max_errors
        self._screen = screen
        self.dropped: int = 0

    def make(
        self,
        source: Source,
        records: Sequence[Record],
        now: Moment,
        anonymous_id: str | None,
        *,
        identity: str = "",
        rejected: int = 0,
    ) -> Made:
        """Make the events of records.

        Args:
            source: What parses them.
            records: The records.
            now: The time, for those that do not say when they occurred.
            anonymous_id: The device's, under a public key.
            identity: What the import is called, in the file of rejects.
            rejected: Records that were rejected before.

        Raises:
            ImportStoppedError: More are bad than may be.
        """
        plain = Moment(now.wall)
        made = Made([], [], [], [])
        make_fast = self._fast_maker(source, now.wall, anonymous_id)
        for start in range(0, len(records), _MANY):
            group = records[start : start + _MANY]
            many = make_fast(group) if make_fast else [None] * len(group)
            for record, found in zip(group, many, strict=True):
                if found is not None:
                    made.encoded.append(found[0])
                    made.moments.append(plain if found[1] else now)
                    continue
                event, data = self.try_encode(source, record, now.wall, anonymous_id)
                if event is None:
                    reason = str(data)
                    made.rejected.append(self._reject(source, record, reason, identity))
                    self._check_errors(source, record, reason, rejected + len(made.rejected))
                elif isinstance(data, bytes) and data:
                    made.encoded.append(data)
                    made.moments.append(now if event.occurred_at is None else plain)
                    if self._screen is not None:
                        made.priorities.append(priority_of_event(event))
        return made

    def _fast_maker(
        self, source: Source, now: float, anonymous_id: str | None
    ) -> Callable[[Sequence[Record]], Sequence[tuple[bytes, bool] | None]] | None:
        """What makes the bytes of most records, and says whether they say when they occurred.

        None, as it gives of some records, where `try_encode` has to.
        """
        read, usual = source.read_many, self._usual
        if write_json is None or read is None or usual is None or self._screen is not None:
            return None
        text_of_now, largest = timestamp_of(None, now), self._largest

        def made_fast(records: Sequence[Record]) -> Sequence[tuple[bytes, bool] | None]:
            # of a line that is too long there is only the beginning
            lines = [each.value if type(each.value) is bytes else b"" for each in records]
            columns = usual.columns(read(lines), text_of_now)
            try:
                encoded = encode_checked(*columns[1:5], anonymous_id)
            except (ValueError, TypeError, RecursionError):  # one is nested too deep
                return [None] * len(records)
            found = [*zip(encoded, columns.are_timed, strict=True)]
            if len(found) == len(records) and max(map(len, encoded)) <= largest:
                return found
            by_place = zip(columns.places, found, strict=True)
            fit = {place: each for place, each in by_place if len(each[0]) <= largest}
            return [*map(fit.get, range(len(records)))]

        return made_fast

    def try_encode(
        self,
        source: Source,
        record: Record,
        now: float,
        anonymous_id: str | None,
        *,
        is_shown: bool = False,
    ) -> tuple[Event | None, bytes | str]:
        """Make the bytes of a record's event; or None, and say why there are none.

        Of an event that is dropped there are no bytes. One that is only shown is not screened:
        the application would meet it twice.
        """
        try:
            fields, is_safe = source.parse(record)
            event = self._field_map.event_of(
                fields, is_text=source.is_text, is_json=is_safe, tally=self.tally
            )
            writer = write_json if is_safe and not self._field_map.casts else None
            if self._screen is not None and not is_shown:
                kept = self._screen(event)
                if kept is None:
                    self.dropped += 1
                    return event, b""
                event, writer = kept, None  # anything may have been put in it
                priority_of_event(event)
            return event, encode_within(self._largest, event, now, anonymous_id, writer)
        except (ValueError, TypeError, RecursionError) as error:  # also what is nested too deep
            return None, str(error)

    def _reject(self, source: Source, record: Record, reason: str, identity: str) -> dict[str, Any]:
        row = source.row(record, self._field_map.nan, self._field_map.text_columns)
        return reject(source, record, reason, row, identity=identity, mapping=self.mapping)

    def _check_errors(self, source: Source, record: Record, reason: str, count: int) -> None:
        if self._max_errors is not None and count > self._max_errors:
            raise ImportStoppedError(
                f"{source.name}, line {record.line}: {reason}; {count} lines were rejected in all",
                file=source.name,
                line=record.line,
                hint=f"{self._max_errors} are allowed. Allow more, and it goes on; then mend what "
                "was rejected, in the file of rejects, and import that with --rejected FILE",
            )
