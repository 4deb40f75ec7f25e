"""Events in an order of their own: the same chunks, in whatever order Spark hands rows over.

A shuffle puts the rows of a partition together as they happen to arrive, and Spark does not sort
a stream. So they are sorted here, by time and then by all that is in them; equal ones are alike.
"""

from __future__ import annotations

import sqlite3
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

_AT_ONCE = 1000


class Ordering:
    """Sorts events; beyond what fits into a cache of 2 MB they are in a temporary file."""

    def __init__(self) -> None:
        # a database without a name is SQLite's own: a file that is gone when it is closed
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("CREATE TABLE events (at TEXT, data BLOB)")
        self._connection.execute("BEGIN")
        self._added: list[tuple[str, bytes]] = []

    def add(self, at: str, data: bytes) -> None:
        """Add an event.

        Args:
            at: When it occurred.
            data: Its bytes.
        """
        self._added.append((at, data))
        if len(self._added) >= _AT_ONCE:
            self._insert()

    def chunks(self, size: int) -> Iterator[list[bytes]]:
        """Yield all of them, so many at a time."""
        self._insert()
        rows = self._connection.execute("SELECT data FROM events ORDER BY at, data")
        while chunk := [data for (data,) in islice(rows, size)]:
            yield chunk

    def _insert(self) -> None:
        self._connection.executemany("INSERT INTO events VALUES (?, ?)", self._added)
        self._added.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()
