"""Files of other versions: older ones are brought up to date, newer ones refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable import StorageError
from segops_durable.identity.identities import NO_IDENTITY
from segops_durable.outbox import Cause, Outbox
from segops_durable.outbox.records.rows import new_row
from segops_durable.outbox.records.schema import UPGRADES
from segops_durable.outbox.store.event_queue import EventQueue
from segops_durable.system.clock import Moment
from support.outboxes import take

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_file_of_a_future_version_is_refused_with_a_way_out(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    open_outbox().close()
    with closing(sqlite3.connect(queue_path)) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'schema'")
        connection.commit()
    with pytest.raises(StorageError, match="Upgrade segops-durable"):
        open_outbox()


def test_a_file_of_an_older_version_is_brought_up_to_date(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    queue_path.parent.mkdir()
    with closing(sqlite3.connect(queue_path)) as connection:
        table = EventQueue._SQL_CREATE.format(table_name="queue_outbox", key_column="_id")
        connection.executescript(f"{table}; {UPGRADES[0]} PRAGMA user_version = 1;")
        row = new_row(b'{"n":0}', Moment(1.5), NO_IDENTITY)[:4]
        connection.execute(
            "INSERT INTO queue_outbox (data, timestamp, crc, identity) VALUES (?, ?, ?, ?)", row
        )
        connection.execute(
            "INSERT INTO dead_letters (row_id, data, identity, tracked_at, died_at, reason, answer)"
            " VALUES (9, x'7b7d', '', 1.5, 2.5, 'damaged', '')"
        )
        connection.commit()
    outbox = open_outbox()
    assert take(outbox).body == b'{"events":[{"n":0}]}'
    (letter,) = outbox.dead_letters
    assert letter.cause is Cause.DAMAGED
    assert outbox.pop_incidents() == []
