"""Outboxes in the default directory: which is whose, and where events may wait unnoticed."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from segops_durable.outbox.event_queue import QUEUE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger("segops_durable")

_OWNER = "SELECT value FROM meta WHERE name IN ('api_url', 'key') ORDER BY name"
_WAITING = f"""
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{QUEUE}'), 0) - removed
FROM tally WHERE (SELECT value FROM meta WHERE name = 'api_url') = ?
"""


def owner_of(path: Path) -> tuple[str, str] | None:
    """The `api_url` of an outbox and the fingerprint of its key; None if it does not say."""
    found = _read(path, _OWNER)
    return (found[0][0], found[1][0]) if len(found) == len(("api_url", "key")) else None


def find_outbox(path: Path, api_url: str, key_fingerprint: str) -> Path:
    """The outbox of a key: `path`, or the one that was given this key while it was open."""
    if path.exists():
        return path
    owner = [(api_url,), (key_fingerprint,)]
    for other in sorted(path.parent.glob("outbox-*.db")):
        if _read(other, _OWNER) == owner:
            return other
    return path


def warn_of_leftovers(path: Path, api_url: str) -> None:
    """Log which other outboxes beside `path` hold events for `api_url`."""
    for other, waiting in find_leftovers(path, api_url):
        _log.warning(
            "%d events wait in %s, tracked under another API key; "
            "to send them under this one, make a client with queue_path=%r",
            waiting,
            other,
            str(other),
        )


def find_leftovers(path: Path, api_url: str) -> Iterator[tuple[Path, int]]:
    """Yield the other outboxes beside `path` with events for `api_url`, and how many wait.

    A file that cannot be read is passed over: this is a courtesy, not a check.
    """
    for other in sorted(path.parent.glob("outbox-*.db")):
        if other == path:
            continue
        found = _read(other, _WAITING, api_url)
        if found and found[0][0]:
            yield other, found[0][0]


def _read(path: Path, sql: str, *parameters: str) -> list[Any]:
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1)) as file:
            return file.execute(sql, parameters).fetchall()
    except sqlite3.Error:
        return []
