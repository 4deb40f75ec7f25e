"""Carrying waiting events by hand, from a device that never comes online to one that does.

Each line says which outbox the event is from, in which of its generations, and its id there.
The receiving outbox notes how far it has loaded which file, in the transaction that stores the
events. So a file that is loaded twice, or in part and then again, is stored once.
"""

from __future__ import annotations

import json
from array import array
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from segops_durable.errors import ConfigurationError, InvalidEventError, StorageError
from segops_durable.identity import WHOEVER, identity_in, lane_of, normal_url, priority_of
from segops_durable.outbox.exported_line import ExportedLine, not_exported, read_line
from segops_durable.outbox.records.generations import GENERATIONS, generation_of, generations_from
from segops_durable.outbox.records.lanes import allow_lanes_found
from segops_durable.outbox.records.marks import Mark, assigned_marks
from segops_durable.outbox.records.notes import read_note
from segops_durable.outbox.records.rows import Row, new_row
from segops_durable.outbox.records.schema import INSERT_ROW, SELECT, SELECT_ROWS
from segops_durable.outbox.records.seals import is_sealed, put
from segops_durable.outbox.records.tally import Recount, standing
from segops_durable.outbox.records.walking import PAGE_ROWS, page_sql, walk
from segops_durable.outbox.removal import delete_known

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from segops_durable.outbox.caps import Caps
    from segops_durable.outbox.findability import RowKey
    from segops_durable.outbox.owner import Owner
    from segops_durable.outbox.records.rows import NewRow
    from segops_durable.outbox.store.store import Store

_PAGE = page_sql(SELECT_ROWS)
_UNMARK = "DELETE FROM in_flight WHERE first_id <= ?"


class Place(NamedTuple):
    """How far a file has been loaded.

    Attributes:
        source: The outbox and generation that its last events are from; empty before the
            first line.
        first_id: The id of the first of them there.
        loaded: Events that were stored.
        known: Events that were here already.
        last_id: The id there of the last event that was read.
    """

    source: str = ""
    first_id: int = 0
    loaded: int = 0
    known: int = 0
    last_id: int = 0


class _Source(NamedTuple):
    """Which outbox a file is of, and whose; one and the same in all of its lines."""

    uuid: str
    api_url: str


class _Exported:
    """What was exported: the rows themselves, since others may have their ids by now."""

    def __init__(self) -> None:
        self._ids = array("q")
        self._crcs = array("q")
        self._times = array("d")

    def add(self, row: Row) -> None:
        """Note a row."""
        self._ids.append(row.id)
        self._crcs.append(row.crc)
        self._times.append(row.tracked_at)

    def chunks(self, last_id: int) -> Iterator[list[RowKey]]:
        """Yield what the rows up to an id are known by, some at a time."""
        for start in range(0, len(self._ids), PAGE_ROWS):
            part = slice(start, start + PAGE_ROWS)
            known = zip(self._ids[part], self._crcs[part], self._times[part], strict=True)
            yield [each for each in known if each[0] <= last_id]


class Transfer:
    """Writes what waits to lines of JSON, and stores such lines.

    Args:
        store: The open outbox file.
        caps: What it may hold.
        owner: Which outbox it is, and whose.
    """

    def __init__(self, store: Store, caps: Caps, owner: Owner) -> None:
        self._store = store
        self._caps = caps
        self._owner = owner
        self._exported = _Exported()

    def export(self, last_id: int) -> Iterator[bytes]:
        """Yield the waiting events up to an id, as lines of JSON, oldest first; not damaged ones.

        Args:
            last_id: The newest to export.
        """
        self._exported = _Exported()
        # Once for all lines: a file that is salvaged meanwhile may have lost its UUID, and gets
        # another; `load` takes no file of two outboxes.
        source = _Source(self._owner.uuid, self._owner.api_url)
        return self._lines(last_id, source, self._exported)

    def remove_exported(self, last_id: int) -> int:
        """Remove the waiting events up to that id that `export` has yielded; return how many.

        Some at a time. Only the sender may: nobody else must be sending them.
        """
        removed = 0
        for chunk in self._exported.chunks(last_id):

            def remove(writer: sqlite3.Connection, chunk: list[RowKey] = chunk) -> int:
                before = standing(writer)
                count = delete_known(writer, chunk)
                before.record(writer, removed=count)
                return count

            removed += self._store.transact(remove) if chunk else 0
        self._store.transact(lambda writer: writer.execute(_UNMARK, (last_id,)))
        return removed

    def load(self, lines: Sequence[bytes], before: Place, *, is_adopted: bool = False) -> Place:
        """Store exported lines that are not here yet, in one transaction.

        Args:
            lines: Lines of one file, in their order.
            before: The place before them.
            is_adopted: Take them whatever `api_url` they are for. Defaults to False.

        Returns:
            The place after them.

        Raises:
            ConfigurationError: A line is none, or is for another `api_url`, or was exported
                from this very outbox.
            QueueFullError: There is no room for them; none of them was stored.
            StorageError: They could not be stored.
        """
        parsed = _parsed(lines, before)
        if not parsed:
            return before
        _check_origin(parsed, self._owner, is_adopted=is_adopted)
        recount = Recount()

        def load(writer: sqlite3.Connection) -> Place:
            place, rows = _new_rows(writer, parsed, before, self._store.path)
            if self._caps.are_set:
                self._caps.admit(writer, rows, self._store.path, recount)
            writer.executemany(INSERT_ROW, rows)
            allow_lanes_found(writer)
            return place

        return self._store.transact(load)

    def _lines(self, last_id: int, source: _Source, exported: _Exported) -> Iterator[bytes]:
        assigned = self._store.look(assigned_marks)
        noted = self._store.look(lambda connection: read_note(connection, GENERATIONS))
        generations = generations_from(noted)
        for page in walk(self._store.look, _PAGE, last_id):
            for row in map(Row.of, page):
                if row.is_intact:
                    exported.add(row)
                    generation = generation_of(generations, row.id)
                    yield _line(_as_sent(row, assigned), source, generation)


def _check_origin(parsed: Sequence[ExportedLine], own: Owner, *, is_adopted: bool) -> None:
    for each in parsed:
        if not is_adopted and normal_url(each.api_url) != own.api_url:
            raise ConfigurationError(
                f"the file has events for {each.api_url}, this outbox is for {own.api_url}",
                field="api_url",
                hint="Load it with the --api-url that it is for, or, if that has moved here, "
                "with --adopt",
            )
    if parsed[0].uuid == own.uuid:
        raise ConfigurationError(
            "the file was exported from this very outbox, where its events wait already",
            field="file",
            hint="Load it into the outbox of another device",
        )


def _new_rows(
    writer: sqlite3.Connection, parsed: Sequence[ExportedLine], before: Place, path: Path
) -> tuple[Place, list[NewRow]]:
    """The rows of lines that were not loaded before; how far the file is loaded is noted."""
    place, rows = before, []
    for source, lines_of_it in groupby(parsed, lambda each: each.source):
        group = list(lines_of_it)
        first_id = place.first_id if place.source == source else group[0].id
        ranges = _loaded(writer, source, path)
        news = [each for each in group if not _is_in(each.id, ranges)]
        rows += [new_row(each.data, each.moment, each.identity) for each in news]
        ends = [last for first, last in ranges if first == first_id]
        put(writer, "carried", [(source, first_id, max([group[-1].id, *ends]))])
        known = place.known + len(group) - len(news)
        place = Place(source, first_id, place.loaded + len(news), known, group[-1].id)
    return place, rows


def _as_sent(row: Row, assigned: Sequence[Mark]) -> Row:
    """A row as whose it is sent: on another device somebody else is current."""
    if identity_in(row.identity) == WHOEVER:
        for mark in assigned:
            if mark.identity == row.identity and mark.first_id <= row.id <= mark.last_id:
                lane = lane_of(mark.assigned, priority_of(row.identity))
                return row._replace(identity=lane)
    return row


def _line(row: Row, source: _Source, generation: str) -> bytes:
    head = {
        "source": source.uuid,
        "generation": generation,
        "api_url": source.api_url,
        "id": row.id,
        "identity": row.identity,
        "tracked_at": row.moment.wall,
        "uptime": row.uptime,
        "boot": row.boot,
    }
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    return text[:-1] + b',"event":' + row.data + b"}\n"  # the very bytes that would be sent


def _is_in(row_id: int, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(first <= row_id <= last for first, last in ranges)


def _loaded(writer: sqlite3.Connection, source: str, path: Path) -> list[tuple[int, int]]:
    """Which events of an outbox were loaded before.

    Raises:
        StorageError: It cannot be said: one of these notes is not what was written.
    """
    records = writer.execute(SELECT["carried"]).fetchall()
    if not all(is_sealed("carried", record) for record in records):
        raise StorageError(
            f"what {path} says of the files that were loaded before is damaged",
            path=str(path),
            hint="Nothing was stored, as events of this file may be here already. Load it into "
            "another outbox with --queue-path, or find out what SegOps has of it",
        )
    return [(first, last) for name, first, last, _ in records if name == source]


def _parsed(lines: Sequence[bytes], before: Place) -> list[ExportedLine]:
    """Read lines, which are of one outbox, and in the order of their ids there.

    How far a file was loaded is noted as a range of ids: a line out of order would have it
    take events for known that are not.
    """
    found: list[ExportedLine] = []
    uuid, last_id = before.source.partition(" ")[0], before.last_id
    for number, line in enumerate(lines, before.loaded + before.known + 1):
        try:
            read = read_line(line)
            if read.uuid != (uuid := uuid or read.uuid):
                raise InvalidEventError("source", "is another outbox's", read.uuid)  # noqa: TRY301 - told of as what `read_line` finds
            if read.id <= last_id:
                raise InvalidEventError("id", f"must be larger than {last_id}", read.id)  # noqa: TRY301 - as above
        except InvalidEventError as error:
            raise not_exported("the file", number, error) from None
        last_id = read.id
        found.append(read)
    return found
