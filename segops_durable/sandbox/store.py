"""What the sandbox accepted, in SQLite: committed before the answer is sent."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    path TEXT NOT NULL,
    idempotency_key TEXT,
    body_sha256 TEXT NOT NULL,
    body_bytes INTEGER NOT NULL,
    queued INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    answer TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id INTEGER NOT NULL REFERENCES requests (id),
    user_id TEXT NOT NULL,
    event TEXT NOT NULL
);
"""
_SUMMARY = """
SELECT
    (SELECT count(*) FROM events) AS events,
    (SELECT count(DISTINCT event) FROM events) AS distinct_events,
    (SELECT count(*) FROM requests) AS requests,
    (SELECT coalesce(sum(skipped), 0) FROM requests) AS skipped,
    (SELECT count(*) FROM (
        SELECT 1 FROM requests WHERE queued > 0 AND idempotency_key IS NOT NULL
        GROUP BY idempotency_key HAVING count(*) > 1)) AS repeated_keys,
    (SELECT count(*) FROM (
        SELECT 1 FROM requests WHERE idempotency_key IS NOT NULL
        GROUP BY idempotency_key HAVING count(DISTINCT body_sha256) > 1)) AS conflicting_keys
"""

_TOTALS = """
SELECT count(*) AS requests, coalesce(max(id), ?) AS last_id, coalesce(sum(queued), 0) AS events,
    coalesce(sum(skipped), 0) AS skipped, coalesce(sum(answer NOT LIKE '2%'), 0) AS refused
FROM requests WHERE id > ?
"""
_RATES = """
SELECT cast(at / ? AS INTEGER) AS slot, sum(queued) AS events,
    sum(answer NOT LIKE '2%') AS refused
FROM requests WHERE id > (SELECT coalesce(max(id), 0) - ? FROM requests) AND at > ?
GROUP BY slot ORDER BY slot
"""
_MOST_COUNTED = 200_000


class Store:
    """Requests and the events that were accepted with them.

    Args:
        path: An SQLite file, or ``:memory:``.

    Attributes:
        cleared: How often everything was forgotten.
    """

    def __init__(self, path: str) -> None:
        self.cleared: int = 0
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        # NORMAL: the clients are what is tested, and a kill of the sandbox loses nothing
        self._connection.executescript(
            f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_SCHEMA}"
        )

    def record(
        self,
        path: str,
        key: str | None,
        body: bytes,
        answer: str,
        *,
        events: Sequence[tuple[str, dict[str, Any]]] = (),
        skipped: int = 0,
    ) -> None:
        """Record a request and the events it brought, as (attributed user, event as sent)."""
        digest = hashlib.sha256(body).hexdigest()
        row = (time.time(), path, key, digest, len(body), len(events), skipped, answer)
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            cursor = self._connection.execute(
                "INSERT INTO requests (at, path, idempotency_key, body_sha256, body_bytes,"
                " queued, skipped, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            self._connection.executemany(
                "INSERT INTO events (request_id, user_id, event) VALUES (?, ?, ?)",
                [(cursor.lastrowid, user_id, _text(event)) for user_id, event in events],
            )

    def events(self, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Accepted events in the order they came: after an id, so many at most."""
        rows = self._read(
            "SELECT events.id, request_id, user_id, idempotency_key, event FROM events"
            " JOIN requests ON requests.id = request_id WHERE events.id > ?"
            " ORDER BY events.id LIMIT ?",
            (after, limit),
        )
        return [{**row, "event": json.loads(row["event"])} for row in rows]

    def requests(self, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Requests in the order they came, refused ones as well."""
        return self._read("SELECT * FROM requests WHERE id > ? ORDER BY id LIMIT ?", (after, limit))

    def summary(self) -> dict[str, Any]:
        """Counts: events, distinct ones, requests, repeats, answers."""
        answers = self._read("SELECT answer, count(*) AS n FROM requests GROUP BY answer", ())
        return {**self._read(_SUMMARY, ())[0], "answers": {a["answer"]: a["n"] for a in answers}}

    def totals(self, after: int) -> dict[str, int]:
        """Counts of requests after an id, and the id of the last of them."""
        return self._read(_TOTALS, (after, after))[0]

    def latest_events(self, after: int, limit: int, longest: int) -> list[dict[str, Any]]:
        """The newest events after an id, newest first, each as text that may be cut."""
        return self._read(
            "SELECT events.id, at, user_id, substr(event, 1, ?) AS head, length(event) AS size"
            " FROM events JOIN requests ON requests.id = request_id WHERE events.id > ?"
            " ORDER BY events.id DESC LIMIT ?",
            (longest, after, limit),
        )

    def latest_requests(self, after: int, limit: int) -> list[dict[str, Any]]:
        """The newest requests after an id, newest first."""
        return self._read(
            "SELECT * FROM requests WHERE id > ? ORDER BY id DESC LIMIT ?", (after, limit)
        )

    def slots(self, seconds: float, since: float) -> list[dict[str, Any]]:
        """How many events came, and how many requests were refused, so many seconds at a time."""
        return self._read(_RATES, (seconds, _MOST_COUNTED, since))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self.cleared += 1
            self._connection.executescript("DELETE FROM events; DELETE FROM requests;")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _read(self, sql: str, parameters: Sequence[object]) -> list[dict[str, Any]]:
        with self._lock:
            return [dict(row) for row in self._connection.execute(sql, parameters).fetchall()]


def _text(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))
