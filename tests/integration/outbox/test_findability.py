"""A row that its index has lost is found all the same, by the one who misses it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from segops_durable import DamagedOutboxError
from segops_durable.outbox import Settlement, Take
from support.outboxes import events, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.outbox import Outbox

INDEX = "queue_outbox_identity"


def take_out_of_the_index(path: Path, row_id: int) -> None:
    """Leave a row out of the index, and have the schema say that it is in it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        (text,) = file.execute("SELECT sql FROM sqlite_master WHERE name = ?", (INDEX,)).fetchone()
        file.execute(f"DROP INDEX {INDEX}")
        file.execute(f"{text} AND _id <> {row_id}")
        file.execute("PRAGMA writable_schema = ON")
        file.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (text, INDEX))


def test_a_row_that_its_index_has_lost_is_sent_and_the_file_salvaged(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(3), "user:a")
    outbox.close()
    take_out_of_the_index(queue_path, 2)
    outbox = open_outbox()
    sent = []
    while batch := outbox.batches.take(Take(20, "user:a")).batch:
        sent += [row.data for row in batch.rows]
        outbox.batches.settle(Settlement(batch, len(batch.rows)), None)
    assert sorted(sent) == events(3)
    assert told(outbox) == [DamagedOutboxError]
    assert outbox.waiting.counts().pending == 0
