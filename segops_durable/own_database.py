"""Events that are stored if, and only if, a transaction of an application's own SQLite is.

The outbox cannot take part in it: it is another file, and in WAL mode SQLite commits each of two
attached files by itself (https://www.sqlite.org/lang_attach.html), so that a power cut could keep
one and lose the other. So the events are rows of a table beside the application's own, in its
transaction. From there they are moved to the outbox, with a checkpoint in the transaction that
stores them there: a process that is killed at any instant of it moves each of them once.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from segops_durable.client import SegOpsClient
from segops_durable.errors import ConfigurationError, StorageError
from segops_durable.errors.plain_text import shown
from segops_durable.events import (
    NORMAL,
    encode_event,
    make_event,
    make_identify_event,
    priority_of_event,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from segops_durable.events import Event

_CREATE = """
CREATE TABLE IF NOT EXISTS segops_outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL)
"""
_INSERT = "INSERT INTO segops_outbox (event) VALUES (?)"
_SELECT = "SELECT id, event FROM segops_outbox WHERE id > ? ORDER BY id LIMIT ?"
_DELETE = "DELETE FROM segops_outbox WHERE id BETWEEN ? AND ?"
_CHUNK = 500
_BUSY_SECONDS = 10.0

_Row = tuple[int, str]


def outbox_in(connection: sqlite3.Connection) -> OutboxIn:
    """Append events within the transactions of a connection, and move them to the outbox later.

        events = outbox_in(connection)
        with connection:
            connection.execute("INSERT INTO orders …")
            events.track(user_id="user-123", event_type="order_placed", payload={"total": 42})
        events.move_to(client)

    Args:
        connection: An application's own; it may be within a transaction. The table
            ``segops_outbox`` is made, if need be.

    Raises:
        ConfigurationError: It is no connection of `sqlite3`, or the database is no file.
        sqlite3.Error: The table cannot be made.
    """
    return OutboxIn(connection)


class OutboxIn:
    """A table of events in an application's own database; `outbox_in` opens it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        if not hasattr(connection, "total_changes"):  # what wraps one, as SQLAlchemy does, has it
            problem = f"connection must be a sqlite3.Connection, got {shown(connection)}"
            raise ConfigurationError(problem, field="connection")
        (path,) = (
            file for _, name, file in connection.execute("PRAGMA database_list") if name == "main"
        )
        if not path:
            problem = "the database must be a file: one in memory is gone with the process"
            raise ConfigurationError(problem, field="connection")
        self._path: str = path
        self._connection = connection
        connection.execute(_CREATE)

    def track(
        self,
        event: Event | Mapping[str, Any] | None = None,
        *,
        user_id: str | int | UUID | None = None,
        event_type: str | None = None,
        occurred_at: str | datetime | None = None,
        payload: Mapping[str, Any] | None = None,
        anonymous_id: str | int | UUID | None = None,
        priority: str | None = None,
    ) -> None:
        """Append an event within the present transaction of the connection.

        Args:
            event: As for `SegOpsClient.track`, as all others are.
            user_id: Your identifier for the user.
            event_type: A snake_case name.
            occurred_at: Defaults to now.
            payload: Any properties. Defaults to none.
            anonymous_id: A visitor's id. Defaults to none.
            priority: ``high``, ``normal`` or ``low``. Defaults to ``normal``.

        Raises:
            InvalidEventError: It cannot be sent, and was not appended.
            sqlite3.Error: It could not be appended.
        """
        made = make_event(
            event,
            user_id=user_id,
            event_type=event_type,
            occurred_at=occurred_at,
            payload=payload,
            anonymous_id=anonymous_id,
            priority=priority,
        )
        self._append(made)

    def identify(
        self,
        *,
        user_id: str | int | UUID,
        traits: Mapping[str, Any] | None = None,
        priority: str | None = None,
    ) -> None:
        """Append what is known of a user, as `track` appends an event.

        Args:
            user_id: Your identifier for the user.
            traits: Properties of the user. Defaults to none.
            priority: As for `track`.

        Raises:
            InvalidEventError: It cannot be sent, and was not appended.
            sqlite3.Error: It could not be appended.
        """
        self._append(make_identify_event(user_id=user_id, traits=traits, priority=priority))

    def move_to(self, client: SegOpsClient) -> int:
        """Move what was committed to the outbox of a client; killed at any instant, each once.

        Call it after a commit, or every few seconds, from any thread or process: it opens a
        connection of its own, and those who call it at once wait for each other. If the database
        is put back from a backup, what the backup has is moved once more.

        Args:
            client: With a secret key: under a public one the events would be another user's.

        Returns:
            How many were moved.

        Raises:
            ConfigurationError: The client has a public key, or is no `SegOpsClient`.
            StorageError: The database is locked (by a transaction of yours?), or cannot be read;
                or the outbox cannot take them, and they stay where they are.
            ClosedError: The client is shut down.
        """
        _check_client(client)
        if client._options.has_public_key:  # noqa: SLF001 - the same package
            raise ConfigurationError("api_key must be a secret key for this", field="api_key")
        try:
            with closing(_own_connection(self._path)) as own:
                return sum(iter(lambda: self._move_some(own, client), 0))
        except sqlite3.Error as error:
            hint = "Call it after the commit"
            problem = f"{self._path} cannot be moved from: {error}"
            raise StorageError(problem, path=self._path, hint=hint) from error

    def _append(self, event: Event) -> None:
        text = encode_event(event).decode()
        priority = priority_of_event(event)
        if priority != NORMAL:  # beside what is sent: `track_many` takes it off again
            text = f'{text[:-1]},"priority":"{priority}"}}'
        self._connection.execute(_INSERT, (text,))

    def _move_some(self, own: sqlite3.Connection, client: SegOpsClient) -> int:
        """Move some in one transaction of the outbox, and then delete them here."""
        job = f"outbox_in:{self._path}"
        own.execute("BEGIN IMMEDIATE")  # whoever else moves waits
        rows: list[_Row] = own.execute(_SELECT, (0, _CHUNK)).fetchall()
        if rows:
            place = client.checkpoint(job) or {"first": 0, "last": 0}
            moved = [row for row in rows if place["first"] <= row[0] <= place["last"]]
            if moved and _place_of(moved) == place:
                rows = moved  # a kill came between the two commits
            else:
                events = [json.loads(event, parse_float=Decimal) for _, event in rows]
                client.track_many(events, checkpoint=(job, _place_of(rows)))
            own.execute(_DELETE, (rows[0][0], rows[-1][0]))
        own.execute("COMMIT")
        return len(rows)


def _check_client(client: object) -> None:
    if not isinstance(client, SegOpsClient):
        problem = f"client must be a SegOpsClient, got {shown(client)}"
        raise ConfigurationError(problem, field="client")


def _own_connection(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)


def _place_of(rows: Sequence[_Row]) -> dict[str, Any]:
    """What tells these rows from others that were given their ids, in a file put back."""
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return {"first": rows[0][0], "last": rows[-1][0], "sha256": digest}
