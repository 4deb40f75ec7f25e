"""A connection is used by one thread at a time: SQLite's statements are shared by all who use it.

Two threads that ran the same statement at once would each read what the other has just reset: a
text that is no text, or the row of somebody else.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from support.damaged import open_outbox

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.outbox import Outbox

MOST_SECONDS = 1.0
"""How long the one who reads leaves the other the time to meet it; who waits for it needs more."""


def look_after(outbox: Outbox, path: Path) -> None:
    assert path.exists()
    outbox._store.look_after()


def append_after_the_file_went(outbox: Outbox, path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    outbox._store.look_after()
    outbox.commit.append([b"{}"])


@pytest.mark.parametrize("other", [look_after, append_after_the_file_went])
def test_nobody_uses_the_connection_of_one_who_reads(
    queue_path: Path, other: Callable[[Outbox, Path], None]
) -> None:
    outbox = open_outbox(queue_path)
    outbox.commit.append([b"{}"] * 3)
    meddlers: list[tuple[str, str]] = []
    reading = threading.get_ident()
    thread = threading.Thread(target=other, args=(outbox, queue_path))

    def note(sql: str) -> None:
        if threading.get_ident() != reading:
            meddlers.append((threading.current_thread().name, sql))

    def read(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(note)
        thread.start()
        thread.join(MOST_SECONDS)
        connection.set_trace_callback(None)

    outbox._store.look(read)
    thread.join()
    assert meddlers == []
    outbox.close()
