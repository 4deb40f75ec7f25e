"""SQLite as far as a damaged file can reach: connections out of which only its own errors come.

Whatever the file holds, text is read as text, and every failure is a `sqlite3.Error`. Damage
says so in its message, so that whoever meets it can have the file mended.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from typing_extensions import Self

lenient_text: partial[str] = partial(str, encoding="utf-8", errors="replace")
"""Reads text that is damaged as text that no checksum accepts, instead of raising."""

_MOST_CURSORS = 64
"""Of those that were made last, which are ended with their connection."""

_ANY = (UnicodeError, OverflowError, MemoryError, sqlite3.Error, sqlite3.Warning)
"""What `sqlite3` raises: its own message may name a table in damaged bytes, which Python 3.10
makes an error without a message of, and later ones a UnicodeDecodeError."""


class Cursor(sqlite3.Cursor):
    """A cursor that raises nothing but `sqlite3.Error`."""

    def execute(self, sql: str, parameters: Any = (), /) -> Self:  # noqa: ANN401 - SQL parameters
        """Run one statement."""
        try:
            return super().execute(sql, parameters)
        except _ANY as error:
            _fail(error, is_read=_is_read(sql))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        """Run one statement for each set of parameters."""
        try:
            return super().executemany(sql, parameters)
        except _ANY as error:
            _fail(error, is_read=False)

    def executescript(self, script: str, /) -> sqlite3.Cursor:
        """Run some statements."""
        try:
            return super().executescript(script)
        except _ANY as error:
            _fail(error, is_read=False)

    def fetchone(self) -> Any:  # noqa: ANN401 - whatever the file holds
        """The next row; None after the last."""
        try:
            return super().fetchone()
        except _ANY as error:
            _fail(error, is_read=True)

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        try:
            return super().fetchall()
        except _ANY as error:
            _fail(error, is_read=True)

    def __next__(self) -> Any:  # noqa: ANN401 - whatever the file holds
        try:
            return super().__next__()
        except _ANY as error:
            _fail(error, is_read=True)


class Connection(sqlite3.Connection):
    """A connection whose cursors raise nothing but `sqlite3.Error`.

    Attributes:
        stamp: Another whenever it has altered more of an outbox than to add rows.
        next_stamp: What it will be after the transaction under way; None for any other.
    """

    stamp: object = None
    next_stamp: object = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(*args, **kwargs)
        self._cursors: deque[ref[Cursor]] = deque(maxlen=_MOST_CURSORS)

    def restamp(self) -> None:
        """Have another stamp from now on."""
        self.stamp, self.next_stamp = self.next_stamp or object(), None

    def close(self) -> None:
        """Close it, and end its statements: else SQLite keeps the file open until they end."""
        for each in tuple(self._cursors):
            cursor = each()
            if cursor is not None:
                with suppress(sqlite3.Error):
                    cursor.close()
        super().close()

    def cursor(self, factory: Any = Cursor) -> Any:  # noqa: ANN401 - the base class overloads it
        """Make a cursor."""
        return self._noted(super().cursor(factory))

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401 - SQL parameters
        """Run one statement; the base class would use a cursor of its own."""
        return self._noted(super().cursor(Cursor)).execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Run one statement for each set of parameters."""
        return self._noted(super().cursor(Cursor)).executemany(sql, parameters)

    def executescript(self, script: str, /) -> sqlite3.Cursor:
        """Run some statements."""
        return self._noted(super().cursor(Cursor)).executescript(script)

    def _noted(self, cursor: Cursor) -> Cursor:
        self._cursors.append(ref(cursor))
        return cursor


def open_read_only(path: Path, timeout: float = 5.0, *, is_idle: bool = False) -> Connection:
    """Open any SQLite file to look into it, without changing it.

    Args:
        path: The file, absolute.
        timeout: Seconds to wait at most for one who writes. Defaults to 5.
        is_idle: Nobody has it open, and it has no log: then nothing is made beside it.
            Defaults to False.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    uri = f"{path.as_uri()}?mode=ro{'&immutable=1' if is_idle else ''}"
    connection = sqlite3.connect(uri, uri=True, timeout=timeout, factory=Connection)
    connection.text_factory = lenient_text
    return connection


def _is_read(sql: str) -> bool:
    return sql.lstrip()[:6].upper() in {"SELECT", "PRAGMA"}


def _fail(error: Exception, *, is_read: bool) -> NoReturn:
    """Raise an error as one of SQLite's that says what it is."""
    if isinstance(error, MemoryError):
        raise sqlite3.OperationalError("out of memory") from error  # of the machine, not the file
    if isinstance(error, sqlite3.DataError) and is_read:
        raise sqlite3.DatabaseError(f"malformed: {error}") from error
    if isinstance(error, sqlite3.Error) and str(error):
        raise error  # a DataError of a write is about what the caller gave
    raise sqlite3.DatabaseError(f"malformed: {type(error).__name__}: {error}") from error
