"""A batch is what was stored, byte for byte, until it is settled."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from segops_durable.outbox import Cause, Letter, Outbox, Settlement, Take
from support.outboxes import events, take

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_batch_is_the_stored_bytes_joined(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(3))
    batch = take(outbox)
    assert batch.body == b'{"events":[{"n":0},{"n":1},{"n":2}]}'
    assert outbox.waiting.counts().pending == 3


def test_a_batch_stays_the_same_until_it_is_settled_also_after_a_restart(
    open_outbox: Callable[..., Outbox],
) -> None:
    first = open_outbox()
    first.commit.append(events(5))
    batch = take(first, limit=3)
    first.commit.append(events(5, first=5))
    first.close()
    again = take(open_outbox(), limit=20)
    assert (again.key, again.body) == (batch.key, batch.body)


def test_settling_removes_the_batch_and_takes_the_next(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(5))
    first = take(outbox, limit=3)
    second = outbox.batches.settle(Settlement(first, accepted=3), Take(3)).batch
    assert second is not None
    assert second.body == b'{"events":[{"n":3},{"n":4}]}'
    assert second.key != first.key
    counts = outbox.waiting.counts()
    assert (counts.pending, counts.accepted_total, counts.dead) == (2, 3, 0)
    assert outbox.batches.settle(Settlement(second, accepted=2), Take(3)).batch is None
    assert outbox.waiting.counts().oldest_at is None


def test_too_few_rows_are_left_to_gather(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(19))
    assert outbox.batches.take(Take(20, minimum=20)).batch is None
    outbox.commit.append(events(1))
    assert outbox.batches.take(Take(20, minimum=20)).batch is not None


def test_a_batch_holds_one_identity(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(2), "user:a")
    outbox.commit.append(events(2, first=2), "user:b")
    outbox.commit.append(events(2, first=4), "user:a")
    assert outbox.waiting.identities() == [
        "user:a",
        "user:b",
    ]  # the one with the oldest event first
    mine = take(outbox, identity="user:a")
    assert (mine.identity, len(mine.rows)) == ("user:a", 4)
    assert take(outbox, identity="user:b").body == b'{"events":[{"n":2},{"n":3}]}'
    assert take(outbox, identity="user:a").key == mine.key
    assert outbox.batches.take(Take(20, "user:c")).batch is None


def test_a_row_whose_bytes_changed_goes_to_the_dead_letters_and_is_not_sent(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(3))
    marked = take(outbox)
    with closing(sqlite3.connect(queue_path)) as connection, connection:
        connection.execute("UPDATE queue_outbox SET data = ? WHERE _id = 2", (b'{"n":9}',))
    taken = outbox.batches.take(Take(20))
    assert taken.damaged == 1
    assert taken.batch is not None
    assert taken.batch.body == b'{"events":[{"n":0},{"n":2}]}'
    assert taken.batch.key != marked.key  # other bytes must not travel under the same key
    counts = outbox.waiting.counts()
    assert (counts.pending, counts.dead) == (2, 1)


def test_a_settled_batch_can_leave_a_copy_in_the_dead_letters(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(2))
    outbox.batches.settle(
        Settlement(take(outbox), 1, Letter(Cause.SKIPPED, "1 of 2 refused", 202, "said")), Take(20)
    )
    assert outbox.waiting.counts().dead == 2
    with closing(sqlite3.connect(queue_path)) as connection:
        found = connection.execute("SELECT data, reason, status, answer FROM dead_letters")
        assert found.fetchall()[0] == (b'{"n":0}', "1 of 2 refused", 202, "said")


def test_settling_again_after_a_commit_whose_fate_was_unknown_changes_nothing(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(2))
    settlement = Settlement(take(outbox), 1, Letter(Cause.SKIPPED, "1 of 2 refused", 202))
    for _ in range(2):
        outbox.batches.settle(settlement, None)
        counts = outbox.waiting.counts()
        assert (counts.pending, counts.accepted_total, counts.dead) == (0, 1, 2)
