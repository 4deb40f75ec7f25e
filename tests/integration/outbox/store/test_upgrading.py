"""Files of other versions: older ones are brought up to date, newer ones refused."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable import StorageError
from segops_durable.identity.identities import NO_IDENTITY
from segops_durable.outbox import Cause, Outbox
from segops_durable.outbox.records.rows import new_row
from segops_durable.outbox.records.schema import SCHEMA_VERSION, SHARED_VERSION, UPGRADES
from segops_durable.outbox.records.seals import put
from segops_durable.outbox.store.event_queue import EventQueue
from segops_durable.system.clock import Moment
from support.outboxes import drain, events, take, told

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


def make_older(path: Path) -> None:
    """Have a file as it was while SQLite gave the ids, and noted them."""
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA writable_schema = ON")
        file.execute(
            "UPDATE sqlite_master SET sql = replace(sql, ' KEY,', ' KEY AUTOINCREMENT,')"
            " WHERE name IN ('queue_outbox', 'dead_letters')"
        )
        file.execute("CREATE TABLE other (_id INTEGER PRIMARY KEY AUTOINCREMENT)")
        file.execute("DROP TABLE other")
        for table, given in (("queue_outbox", "last_id"), ("dead_letters", "last_letter")):
            last = f"max(coalesce((SELECT max(_id) FROM {table}), 0), {given})"
            file.execute(f"INSERT INTO sqlite_sequence SELECT '{table}', {last} FROM tally")
        put(file, "meta", [("schema", str(SHARED_VERSION))])
        file.execute(f"PRAGMA user_version = {SHARED_VERSION}")
        file.commit()


def version_and_sequence(path: Path) -> tuple[int, list[tuple[int]]]:
    with closing(sqlite3.connect(path)) as file:
        sequence = "SELECT seq FROM sqlite_sequence WHERE name = 'queue_outbox'"
        (version,) = file.execute("PRAGMA user_version").fetchone()
        return version, file.execute(sequence).fetchall()


def test_a_file_to_which_sqlite_gave_the_ids_goes_on_without_and_gives_none_again(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(30))
    assert drain(outbox) == events(30)
    outbox.close()
    make_older(queue_path)
    outbox = open_outbox()
    outbox.commit.append(events(2))
    assert version_and_sequence(queue_path) == (SCHEMA_VERSION, [])
    assert [row.id for row in outbox.waiting.peek(9)] == [31, 32]
    assert told(outbox) == []
    with closing(sqlite3.connect(queue_path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_file_that_others_have_open_stays_one_that_older_versions_give_no_id_in_twice(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(30))
    assert drain(outbox) == events(30)
    outbox.close()
    make_older(queue_path)
    row = (*new_row(b'{"n":"older"}', Moment(1.5), NO_IDENTITY)[:4],)
    insert = "INSERT INTO queue_outbox (data, timestamp, crc, identity) VALUES (?, ?, ?, ?)"
    with closing(sqlite3.connect(queue_path, isolation_level=None)) as older:
        older.execute("SELECT 1 FROM meta").fetchall()
        outbox = open_outbox()
        outbox.commit.append(events(2))
        assert version_and_sequence(queue_path) == (SHARED_VERSION, [(32,)])
        older.execute(insert, row)
        outbox.commit.append(events(2, first=2))
        assert [each.id for each in outbox.waiting.peek(9)] == [31, 32, 33, 34, 35]
        assert len(drain(outbox)) == 5
        older.execute(insert, row)
        assert [each.id for each in outbox.waiting.peek(9)] == [36]
    outbox.look_after()
    assert told(outbox) == []
    outbox.close()
    assert open_outbox().waiting.peek(9)[0].id == 36
    assert version_and_sequence(queue_path)[0] == SCHEMA_VERSION


def test_a_file_whose_version_is_in_its_log_alone_goes_on_likewise(
    open_outbox: Callable[..., Outbox], queue_path: Path, tmp_path: Path
) -> None:
    open_outbox().commit.append(events(2))
    make_older(queue_path)
    left = tmp_path / "left.db"  # as by a process that was killed
    for end in ("", "-wal"):
        shutil.copy(f"{queue_path}{end}", f"{left}{end}")
    outbox = open_outbox(left)
    assert version_and_sequence(left) == (SCHEMA_VERSION, [])
    assert drain(outbox) == events(2)
