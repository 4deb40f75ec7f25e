"""What nobody has altered is not looked for again; what anybody may have altered is."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import StorageError
from segops_durable.outbox import Outbox, Settlement, Take
from segops_durable.outbox.removal import delete_rows
from segops_durable.outbox.store.boundary import Connection
from support.outboxes import drain, events, spoil, take

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from segops_durable.outbox import Batch, Row
    from segops_durable.outbox.store.event_queue import EventQueue

NEXT = Take(5)
CHANGE = "UPDATE queue_outbox SET crc = crc + 1 WHERE _id = 7"


def settle(outbox: Outbox, batch: Batch) -> list[str]:
    """Settle a batch, and take the next that was read ahead; say what was run for it."""
    outbox.batches.read_ahead(NEXT)
    run: list[str] = []
    outbox._store.write(lambda queue: queue.writer.set_trace_callback(run.append))
    outbox.batches.settle(Settlement(batch, len(batch.rows)), NEXT)
    outbox._store.write(lambda queue: queue.writer.set_trace_callback(None))
    return [each for each in run if "count(*)" in each and "queue_outbox" in each]


def second(outbox: Outbox) -> Batch:
    """The second batch of some, the first is settled."""
    first = take(outbox, limit=5)
    outbox.batches.read_ahead(NEXT)
    found = outbox.batches.settle(Settlement(first, 5), NEXT).batch
    assert found is not None
    return found


def test_rows_are_not_looked_for_where_nobody_else_was_at_the_file(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(30))
    batch = second(outbox)
    outbox.commit.append(events(5, first=30))  # nor where events came in here
    assert settle(outbox, batch) == []
    assert drain(outbox) == events(25, first=10)


@pytest.mark.parametrize("who", ["another process", "this one"])
def test_rows_are_looked_for_where_anybody_was(
    open_outbox: Callable[..., Outbox], queue_path: Path, who: str
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(30))
    batch = second(outbox)
    if who == "this one":
        outbox._store.transact(lambda writer: writer.execute(CHANGE))
    else:
        spoil(queue_path, CHANGE)
    assert settle(outbox, batch)
    counts = outbox.waiting.counts()  # it is another row by now, and damaged
    assert (counts.pending, counts.dead, counts.accepted_total) == (20, 1, 9)


@pytest.mark.parametrize("is_altered", [False, True])
def test_nothing_is_known_after_a_settlement_that_failed(
    open_outbox: Callable[..., Outbox], monkeypatch: pytest.MonkeyPatch, *, is_altered: bool
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(30))
    batch = second(outbox)

    def fail(self: Connection, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if sql == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return real(self, sql, parameters)

    real = Connection.execute
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "execute", fail)
        with pytest.raises(StorageError):
            outbox.batches.settle(Settlement(batch, 5), NEXT)
    if is_altered:
        outbox._store.transact(lambda writer: writer.execute(CHANGE))
    assert settle(outbox, batch)
    assert outbox.waiting.counts().accepted_total == 10 - is_altered


def test_what_followed_a_look_that_altered_nothing_is_noticed(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(30))
    batch = second(outbox)
    outbox.batches.give_back(["of no batch"])
    outbox._store.transact(lambda writer: writer.execute(CHANGE))
    assert settle(outbox, batch)
    assert outbox.waiting.counts().accepted_total == 9


def test_nothing_is_known_after_a_write_that_failed_half_way(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(30))
    batch = second(outbox)

    def alter_and_fail(queue: EventQueue) -> None:
        queue.writer.execute(CHANGE)
        raise OSError

    with pytest.raises(StorageError):
        outbox._store.write(alter_and_fail)
    assert settle(outbox, batch)
    assert outbox.waiting.counts().accepted_total == 9


def test_others_rows_between_those_of_a_batch_stay(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    for number in range(15):
        outbox.commit.append(events(1, first=number))
        outbox.commit.append(events(1, first=100 + number), "user:b")
    batch = second(outbox)
    settle(outbox, batch)
    assert outbox.waiting.count_of(["", "user:b"]) == {"": 5, "user:b": 15}


def test_rows_that_are_known_to_be_there_and_cannot_be_removed_are_damage(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(10))
    rows = take(outbox, limit=5).rows
    outbox._store.transact(lambda writer: writer.execute("DELETE FROM queue_outbox WHERE _id = 2"))
    outbox._store.transact(lambda writer: refuse(writer, rows))


def refuse(writer: sqlite3.Connection, rows: Sequence[Row]) -> None:
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        delete_rows(writer, rows, are_there=True)
