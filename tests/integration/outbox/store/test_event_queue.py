"""SQLite differs from system to system: in how many parameters a statement may have, say."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable import StorageError
from segops_durable.outbox import Take
from segops_durable.outbox.records.batch import Settlement
from segops_durable.outbox.records.rows import new_row
from segops_durable.outbox.store.event_queue import FEW_ROWS, _limits_of_build
from segops_durable.system.clock import Moment
from support.damaged import open_outbox
from support.events import numbered, numbers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

SMALL = [
    ("SQLITE_LIMIT_VARIABLE_NUMBER", 999),
    ("SQLITE_LIMIT_VARIABLE_NUMBER", 30),
    ("SQLITE_LIMIT_SQL_LENGTH", 2000),
]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="limits cannot be set")
@pytest.mark.parametrize(("limit", "value"), SMALL)
def test_a_build_of_sqlite_with_small_limits_stores_and_sends_everything(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, limit: str, value: int
) -> None:
    client = make_client(batch_size=500, flush_interval=300)
    queue = client._outbox._store._live._queue
    assert queue is not None
    for connection in (queue.reader, queue.writer):
        connection.setlimit(getattr(sqlite3, limit), value)  # type: ignore[attr-defined,unused-ignore]  # Python 3.11
    assert client.track_many(numbered(1200)) == 1200
    client.track_many(numbered(1200, 1200), checkpoint=("job", 1))
    assert client.flush(timeout=60).ok
    assert sorted(numbers(sandbox)) == list(range(2400))
    assert client.discard_dead_letters(range(1, 1200)) == 0


def test_where_nothing_tells_the_limits_those_of_the_build_hold() -> None:
    connection = sqlite3.connect(":memory:")
    variables, text = _limits_of_build(connection)
    marks = ",".join("?" * variables)
    connection.execute(f"SELECT 1 WHERE 1 IN ({marks})", [1] * variables).fetchall()
    with pytest.raises(sqlite3.OperationalError, match="too many"):
        connection.execute(f"SELECT 1 WHERE 1 IN ({marks}, ?)", [1] * (variables + 1))
    assert text >= 1_000_000
    connection.close()


def test_ids_go_on_where_they_were_however_many_rows_are_stored_at_once(
    queue_path: Path,
) -> None:
    outbox, other = open_outbox(queue_path), open_outbox(queue_path)
    ids: list[int] = []
    stored: list[bytes] = []
    for number, count in enumerate((1, FEW_ROWS, FEW_ROWS + 1, 1200, 1, 2500, FEW_ROWS + 1)):
        some = [b'{"n":"%d-%d"}' % (number, row) for row in range(count)]
        (outbox, other)[number % 2].commit.append(some)
        batch = outbox.batches.take(Take(500)).batch
        while batch is not None:  # so that none is left, and no row tells the ids before it
            ids += [row.id for row in batch.rows]
            stored += [row.data for row in batch.rows]
            settled = outbox.batches.settle(Settlement(batch, len(batch.rows)), Take(500))
            batch = settled.batch
        assert stored[-count:] == some
    assert ids == list(range(1, len(stored) + 1))
    assert outbox.waiting.counts().accepted_total == len(stored)
    outbox.close()
    other.close()


def test_rows_of_a_transaction_that_fails_are_all_not_there(queue_path: Path) -> None:
    outbox = open_outbox(queue_path)
    outbox.commit.append([b'{"n":"before"}'])
    with closing(sqlite3.connect(queue_path)) as file:
        file.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON queue_outbox"
            " WHEN NEW.data = CAST('{\"n\":1500}' AS BLOB)"
            " BEGIN SELECT RAISE(FAIL, 'refused'); END"
        )
        file.commit()
    with pytest.raises(StorageError, match="refused"):
        outbox.commit.append([b'{"n":%d}' % number for number in range(2000)])
    with closing(sqlite3.connect(queue_path)) as file:
        file.execute("DROP TRIGGER refuse")
        file.commit()
        assert file.execute("SELECT count(*) FROM queue_outbox").fetchone() == (1,)
    outbox.commit.append([b'{"n":"after"}'] * 30)
    assert outbox.waiting.counts().pending == 31
    outbox.close()


@pytest.mark.parametrize("identity", ["", "user:änn"])
@pytest.mark.parametrize(
    "moments",
    [
        [Moment(1.8e9, 7.5, 1 << 47)] * 200,
        [Moment(1.8e9)] * 200,
        [Moment(1.8e9), Moment(1.8e9, 7.5, 3)] * 100,
        [Moment(1.8e9 + number, float(number), number) for number in range(200)],
        [Moment(1.8e9)] * 199 + [Moment(1.8e9, 7.5, 3)],
    ],
    ids=["of one moment", "with times of their own", "of two moments", "of many", "but the last"],
)
def test_each_of_many_rows_is_what_it_is_alone(
    queue_path: Path, moments: list[Moment], identity: str
) -> None:
    outbox = open_outbox(queue_path)
    events = [b'{"n":%d}' % number for number in range(len(moments))]
    outbox.commit.append(events, identity, moments)
    with closing(sqlite3.connect(queue_path)) as file:
        columns = "data, timestamp, crc, identity, uptime, boot"
        found = file.execute(f"SELECT {columns} FROM queue_outbox ORDER BY _id").fetchall()
    assert found == [
        new_row(data, moment, identity) for data, moment in zip(events, moments, strict=True)
    ]
    assert {type(row[0]) for row in found} == {bytes}
    outbox.close()
