"""Outboxes of other keys in the default directory, where events may wait unnoticed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from segops_durable.outbox.event_queue import QUEUE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WAITING = f"""
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{QUEUE}'), 0) - removed
FROM tally WHERE (SELECT value FROM meta WHERE name = 'api_url') = ?
"""


def find_leftovers(path: Path, api_url: str) -> Iterator[tuple[Path, int]]:
    """Yield the other outboxes beside `path` with events for `api_url`, and how many wait.

    A file that cannot be read is passed over: this is a courtesy, not a check.
    """
    for other in sorted(path.parent.glob("outbox-*.db")):
        if other == path:
            continue
        try:
            waiting = _waiting(other, api_url)
        except sqlite3.Error:
            continue
        if waiting:
            yield other, waiting


def _waiting(path: Path, api_url: str) -> int:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
        found = connection.execute(_WAITING, (api_url,)).fetchone()
    return found[0] if found else 0
