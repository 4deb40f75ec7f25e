"""The mark of a batch in flight: its key is never that of other bytes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable import MendedOutboxError
from segops_durable.outbox import Outbox, Take
from segops_durable.outbox.records.rows import new_row
from segops_durable.outbox.records.schema import UNSEALED_VERSION, UPGRADES
from segops_durable.outbox.store.event_queue import EventQueue
from segops_durable.system.clock import Moment
from support.outboxes import drain, events, spoil, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.one_python


@pytest.mark.parametrize(
    "damage",
    [
        "batch_key = 'outbox' || char(13) || '1'",
        "batch_key = ''",
        "batch_key = CAST(x'ff' AS TEXT)",
        "last_id = 4611686018427387904",
        "first_id = 2",
        "row_count = 3",
        "identity = 'user:bob'",
        "assigned = 'user:bob'",
        "identity = x'ff'",
        "seal = 0",
    ],
)
def test_a_damaged_mark_is_dropped_and_its_rows_are_taken_anew_under_the_same_key(
    open_outbox: Callable[..., Outbox], queue_path: Path, damage: str
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(30))
    batch = outbox.batches.take(Take(10)).batch
    assert batch is not None
    outbox.close()
    spoil(queue_path, f"UPDATE in_flight SET {damage}")
    outbox = open_outbox()
    assert told(outbox) == [MendedOutboxError]
    again = outbox.batches.take(Take(10)).batch
    assert again is not None
    assert (again.key, again.body, again.assigned) == (batch.key, batch.body, "")
    assert drain(outbox) == events(30)


def test_a_key_is_never_that_of_other_bytes(
    open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    """Whoever the file says it is, and whichever ids it gives again."""
    keys = []
    for name in ("a", "b"):
        outbox = open_outbox(tmp_path / f"{name}.db")
        outbox._binding.uuid = "the same in both"
        outbox.commit.append([b'{"who":"%s"}' % name.encode()])
        batch = outbox.batches.take(Take(10)).batch
        assert batch is not None
        keys.append(batch.key)
    assert [key.rpartition("-")[0] for key in keys] == ["the same in both-1-1-1"] * 2
    assert keys[0] != keys[1]


def test_a_key_of_an_older_file_that_no_header_takes_is_not_used(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    queue_path.parent.mkdir()
    rows = [new_row(event, Moment(1.5), "") for event in events(3)]
    with closing(sqlite3.connect(queue_path)) as file:
        table = EventQueue._SQL_CREATE.format(table_name="queue_outbox", key_column="_id")
        version = UNSEALED_VERSION
        file.executescript(f"{table}; {''.join(UPGRADES[:version])}")
        file.execute(f"PRAGMA user_version = {version}")
        file.execute("INSERT INTO meta VALUES ('schema', ?)", (str(version),))
        columns = "data, timestamp, crc, identity, uptime, boot"
        file.executemany(f"INSERT INTO queue_outbox ({columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)
        file.execute("INSERT INTO in_flight VALUES (1, 2, 2, '', 'a' || char(13) || 'b', '')")
        file.commit()
    outbox = open_outbox()
    assert told(outbox) == [MendedOutboxError]
    batch = outbox.batches.take(Take(10)).batch
    assert batch is not None
    assert batch.key.isascii()
    assert batch.key.isprintable()
    assert drain(outbox) == events(3)
