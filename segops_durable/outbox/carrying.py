"""Carrying waiting events by hand, from a device that never comes online to one that does.

Each line says which outbox the event is from, and its id there. The receiving outbox notes
how far it has loaded which file, in the transaction that stores the events. So a file that
is loaded twice, or in part and then again, is stored once.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.clock import Moment
from segops_durable.errors import ConfigurationError
from segops_durable.identity import WHOEVER
from segops_durable.outbox.event_queue import QUEUE
from segops_durable.outbox.rows import NewRow, Row, new_row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from segops_durable.outbox.caps import Caps
    from segops_durable.outbox.store import Store

_PAGE_ROWS = 500
_SELECT = f"""
SELECT _id, data, timestamp, crc, identity, uptime, boot FROM {QUEUE}
WHERE _id > ? AND _id <= ? ORDER BY _id LIMIT ?
"""
_ASSIGNED = "SELECT first_id, last_id, assigned FROM in_flight WHERE assigned <> ''"
_UNMARK = "DELETE FROM in_flight WHERE first_id <= ?"
_INSERT = f"""
INSERT INTO {QUEUE} (data, timestamp, crc, identity, uptime, boot) VALUES (?, ?, ?, ?, ?, ?)
"""
_KNOWN = "SELECT first_id, last_id FROM carried WHERE source = ?"
_NOTE = "INSERT OR REPLACE INTO carried (source, first_id, last_id) VALUES (?, ?, ?)"


class Place(NamedTuple):
    """How far a file has been loaded.

    Attributes:
        source: The outbox that its events are from; empty before the first line.
        first_id: The id of its first event there.
        loaded: Events that were stored.
        known: Events that were here already.
    """

    source: str = ""
    first_id: int = 0
    loaded: int = 0
    known: int = 0


class Owner(NamedTuple):
    """Which outbox it is, and whose.

    Attributes:
        uuid: The outbox's own.
        api_url: The SegOps that its events are for.
    """

    uuid: str
    api_url: str


class _Line(NamedTuple):
    owner: Owner
    id: int
    row: NewRow


def export_lines(store: Store, owner: Owner, last_id: int) -> Iterator[bytes]:
    """Yield the waiting events up to an id, as lines of JSON, oldest first; not damaged ones."""
    assigned = store.read(_ASSIGNED)
    for page in _pages(store, last_id):
        yield from (_line(_as_sent(row, assigned), owner) for row in page)


def _as_sent(row: Row, assigned: Sequence[tuple[int, int, str]]) -> Row:
    """A row as whose it is sent: on another device somebody else is current."""
    if row.identity == WHOEVER:
        for first_id, last_id, identity in assigned:
            if first_id <= row.id <= last_id:
                return replace(row, identity=identity)
    return row


def _pages(store: Store, last_id: int) -> Iterator[list[Row]]:
    after = 0
    while page := store.read(_SELECT, (after, last_id, _PAGE_ROWS)):
        after = page[-1][0]
        yield [row for row in (Row(*found) for found in page) if row.is_intact]


def _line(row: Row, owner: Owner) -> bytes:
    head = {
        "source": owner.uuid,
        "api_url": owner.api_url,
        "id": row.id,
        "identity": row.identity,
        "tracked_at": row.moment.wall,
        "uptime": row.uptime,
        "boot": row.boot,
    }
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    return text[:-1] + b',"event":' + row.data + b"}\n"  # the very bytes that would be sent


def load_lines(
    store: Store, caps: Caps, own: Owner, lines: Sequence[bytes], before: Place
) -> Place:
    """Store lines that are not here yet, in one transaction; return the place after them.

    Raises:
        ConfigurationError: A line is none, or was exported from this very outbox.
        QueueFullError: There is no room for them; none of them was stored.
        StorageError: They could not be stored.
    """
    parsed = [_parsed(line) for line in lines]
    if not parsed:
        return before
    source = before.source or parsed[0].owner.uuid
    first_id = before.first_id or parsed[0].id
    if any(each.owner.uuid != source for each in parsed):
        raise _no_export("it has events of more than one outbox", lines[0])
    for each in parsed:
        if each.owner.api_url != own.api_url:
            raise ConfigurationError(
                f"the file has events for {each.owner.api_url}, this outbox is for {own.api_url}",
                field="api_url",
                hint="Load it with the --api-url that it is for",
            )
    if source == own.uuid:
        raise ConfigurationError(
            "the file was exported from this very outbox, where its events wait already",
            field="file",
            hint="Load it into the outbox of another device",
        )

    def load(writer: sqlite3.Connection) -> int:
        ranges = writer.execute(_KNOWN, (source,)).fetchall()
        rows = [
            each.row
            for each in parsed
            if not any(first <= each.id <= last for first, last in ranges)
        ]
        if caps.are_set:
            caps.admit(writer, rows, store.path)
        writer.executemany(_INSERT, rows)
        ends = [last for first, last in ranges if first == first_id]
        writer.execute(_NOTE, (source, first_id, max([parsed[-1].id, *ends])))
        return len(rows)

    loaded = store.transact(load)
    known = before.known + len(parsed) - loaded
    return Place(source, first_id, before.loaded + loaded, known)


def remove_up_to(store: Store, last_id: int) -> int:
    """Remove the waiting events up to an id, page by page; not damaged ones. Return how many."""
    removed = 0
    for page in _pages(store, last_id):

        def remove(writer: sqlite3.Connection, rows: Sequence[Row] = page) -> int:
            sql = f"DELETE FROM {QUEUE} WHERE _id = ?"
            count = writer.executemany(sql, [(row.id,) for row in rows]).rowcount
            writer.execute("UPDATE tally SET removed = removed + ?", (count,))
            return count

        removed += store.transact(remove) if page else 0
    store.transact(lambda writer: writer.execute(_UNMARK, (last_id,)))
    return removed


def _parsed(line: bytes) -> _Line:
    try:
        fields = json.loads(line)
        identity: Any = fields["identity"]
        event = fields["event"]
        moment = Moment(float(fields["tracked_at"]), fields["uptime"], fields["boot"])
        # the bytes as they were written: from the event on to the closing bracket
        data = line[line.index(b',"event":') + len(b',"event":') : line.rindex(b"}")]
        is_right = isinstance(event, dict) and json.loads(data) == event
        if not is_right or not isinstance(identity, str) or type(fields["id"]) is not int:
            raise _no_export("a field is of a wrong type", line)
        owner = Owner(str(fields["source"]), str(fields["api_url"]))
        return _Line(owner, fields["id"], new_row(data, moment, identity))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise _no_export(f"{type(error).__name__}: {error}", line) from None


def _no_export(problem: str, line: bytes) -> ConfigurationError:
    start = line[:80].decode(errors="replace").rstrip()
    return ConfigurationError(
        f"the file has a line that `export` did not write ({problem}), got {start!r}",
        field="file",
        hint="To bring in other files, use import",
    )
