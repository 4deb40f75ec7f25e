"""Receipts: the answers to requests that somebody else may make again, stored with their rows.

Whoever posts events to a relay and does not hear the answer posts them again, under the same key.
What was answered is stored in the transaction that stores the events; so the second time nothing
is stored, and the same is answered. The table is made with the first receipt: a file that has
none is as ever. What is damaged of it is not believed, and then the events are stored again.
"""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, NamedTuple

from segops_durable.errors import SegOpsError
from segops_durable.outbox.records.seals import seal_of
from segops_durable.system.clock import PLAUSIBLE

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE = "receipts"
MOST_RECEIPTS = 100_000
"""The oldest go before there are more, whatever their age."""

_CREATE = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    _id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, body TEXT NOT NULL, answer TEXT NOT NULL,
    at REAL NOT NULL, seal INTEGER NOT NULL
)
"""
_FIND = f"SELECT body, answer, at, seal FROM {TABLE} WHERE key = ?"
_PUT = f"INSERT OR REPLACE INTO {TABLE} (key, body, answer, at, seal) VALUES (?, ?, ?, ?, ?)"
_EXPIRE = f"DELETE FROM {TABLE} WHERE at >= {PLAUSIBLE} AND at < ?"
_KEEP_NEWEST = f"DELETE FROM {TABLE} WHERE _id <= (SELECT max(_id) FROM {TABLE}) - {MOST_RECEIPTS}"
_SECONDS_BETWEEN_SWEEPS = 60.0


class Receipt(NamedTuple):
    """What a request is known by, and its answer.

    Attributes:
        key: What it is known by; whoever makes it again gives the same.
        body: What tells its body from others.
        answer: What is answered once its events are stored.
        seconds: How long it is kept.
    """

    key: str
    body: str
    answer: str
    seconds: float


class RepeatedRequestError(SegOpsError):
    """A request was made before; nothing is stored this time.

    Attributes:
        answer: What was answered then.
        is_same: Whether it had the same body.
    """

    def __init__(self, answer: str, *, is_same: bool) -> None:
        super().__init__("the request was made before")
        self.answer = answer
        self.is_same = is_same


class Receipts:
    """Writes receipts, within the transaction of the rows that they are for."""

    def __init__(self) -> None:
        self._swept_at = 0.0

    def noting(self, receipt: Receipt) -> Callable[[sqlite3.Connection], object]:
        """Return what writes a receipt down, or raises a `RepeatedRequestError`."""

        def note(writer: sqlite3.Connection) -> None:
            now = time.time()
            try:
                self._sweep(writer, receipt.seconds, now)
                known = _known(writer, receipt, now)
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
                writer.execute(_CREATE)
                known = None
            if known is not None:
                raise RepeatedRequestError(known[1], is_same=known[0] == receipt.body)
            values = (receipt.key, receipt.body, receipt.answer, now)
            writer.execute(_PUT, (*values, seal_of(TABLE, values)))

        return note

    def _sweep(self, writer: sqlite3.Connection, seconds: float, now: float) -> None:
        """Remove what is too old, now and then; by a clock that was not set yet, nothing is."""
        if time.monotonic() - self._swept_at < _SECONDS_BETWEEN_SWEEPS and self._swept_at:
            return
        writer.execute(_EXPIRE, (now - seconds,))
        writer.execute(_KEEP_NEWEST)
        self._swept_at = time.monotonic()


def _known(writer: sqlite3.Connection, receipt: Receipt, now: float) -> tuple[str, str] | None:
    """The body and the answer of a request that was made before; None of one that was not."""
    found = writer.execute(_FIND, (receipt.key,)).fetchone()
    if found is None:
        return None
    body, answer, at, seal = found
    is_whole = seal == seal_of(TABLE, (receipt.key, body, answer, at))
    return (body, answer) if is_whole and not _is_old(at, now, receipt.seconds) else None


def _is_old(at: float, now: float, seconds: float) -> bool:
    """Whether a receipt is too old; one of before the clock was set may be of a minute ago."""
    return at >= PLAUSIBLE and now - at > seconds
