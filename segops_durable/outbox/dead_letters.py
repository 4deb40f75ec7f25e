"""The table of dead letters: nothing leaves it but by the user's word."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from segops_durable.clock import Moment
from segops_durable.errors import ConfigurationError
from segops_durable.outbox.event_queue import QUEUE
from segops_durable.outbox.letters import Cause, DeadLetter, Letter, letter_from_row
from segops_durable.outbox.rows import new_row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from segops_durable.outbox.rows import Row
    from segops_durable.outbox.store import Store

_PAGE_ROWS = 500
_UNDELIVERED = (Cause.REFUSED, Cause.TOO_LARGE)

_BURY = """
INSERT INTO dead_letters
    (row_id, data, identity, tracked_at, died_at, cause, reason, status, answer)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_READ = """
SELECT _id, data, tracked_at, died_at, cause, reason, status, answer FROM dead_letters
WHERE _id > ? ORDER BY _id LIMIT ?
"""
_UNDELIVERED_IDS = "SELECT _id FROM dead_letters WHERE cause IN (?, ?) ORDER BY _id"
_PUT_BACK = f"""
INSERT INTO {QUEUE} (data, timestamp, crc, identity, uptime, boot) VALUES (?, ?, ?, ?, ?, ?)
"""


def bury(writer: sqlite3.Connection, rows: Sequence[Row], letter: Letter) -> None:
    """Copy rows into the dead letters, within the caller's transaction."""
    now = time.time()
    why = (letter.cause.value, letter.reason, letter.status, letter.answer)
    writer.executemany(
        _BURY,
        [(row.id, _bytes(row.data), str(row.identity), _time(row), now, *why) for row in rows],
    )


def _bytes(data: object) -> bytes:
    """Bytes as they are, and whatever else a damaged file makes of them as text."""
    return data if isinstance(data, bytes) else str(data).encode(errors="replace")


def _time(row: Row) -> float:
    value: object = row.tracked_at
    return value if isinstance(value, float) else 0.0


class DeadLetters:
    """Reads dead letters, puts them back, and removes them.

    Args:
        store: The open outbox file.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __iter__(self) -> Iterator[DeadLetter]:
        """Yield all of them, oldest first; a page is read at a time."""
        after = 0
        while page := self._store.read(_READ, (after, _PAGE_ROWS)):
            yield from map(letter_from_row, page)
            after = page[-1][0]

    def retry(self, ids: Iterable[int] | None = None) -> int:
        """Put letters back at the end of the queue; return how many.

        Args:
            ids: Which; None for those of which SegOps has certainly accepted nothing, and
                whose bytes are as they were.

        Raises:
            ConfigurationError: An id is no integer.
        """
        if ids is None:
            causes = [cause.value for cause in _UNDELIVERED]
            ids = [row[0] for row in self._store.read(_UNDELIVERED_IDS, causes)]

        def put_back(writer: sqlite3.Connection, chosen: Sequence[int]) -> None:
            found = writer.execute(
                "SELECT data, tracked_at, identity FROM dead_letters"
                f" WHERE _id IN ({_marks(chosen)}) ORDER BY _id",
                chosen,
            ).fetchall()
            rows = [new_row(data, Moment(wall), identity) for data, wall, identity in found]
            writer.executemany(_PUT_BACK, rows)

        return self._remove(ids, put_back)

    def discard(self, ids: Iterable[int]) -> int:
        """Remove letters for good; return how many there were.

        Raises:
            ConfigurationError: An id is no integer.
        """
        return self._remove(ids)

    def _remove(
        self,
        ids: Iterable[int],
        first: Callable[[sqlite3.Connection, Sequence[int]], None] = lambda _writer, _ids: None,
    ) -> int:
        """Delete letters in chunks, each in one transaction with what is to be done `first`."""
        removed = 0
        checked = [_checked_id(each) for each in ids]
        for start in range(0, len(checked), _PAGE_ROWS):
            chosen = checked[start : start + _PAGE_ROWS]

            def remove(writer: sqlite3.Connection, chosen: Sequence[int] = chosen) -> int:
                first(writer, chosen)
                sql = f"DELETE FROM dead_letters WHERE _id IN ({_marks(chosen)})"
                return writer.execute(sql, chosen).rowcount

            removed += self._store.transact(remove)
        return removed


def _checked_id(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigurationError(f"ids must be integers, got {value!r}", field="ids")
    return value


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
