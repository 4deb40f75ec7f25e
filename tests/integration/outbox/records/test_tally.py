"""Counters and numbers that are damaged: derived anew, and none is given twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segops_durable import MendedOutboxError, QueueFullError
from segops_durable.outbox import Caps, Outbox, Settlement, Take
from support.outboxes import drain, events, spoil, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.one_python
COUNTERS = [
    "removed = removed | 1048576",
    "removed = removed - 1048576",
    "removed = 9223372036854775807",
    "removed = 'x'",
    "accepted = accepted + 1024",
    "accepted = 1e300",
    "last_accepted_at = 1e300",
    "last_id = 0",
    "seal = seal + 1",
]


@pytest.mark.parametrize("is_running", [False, True])
@pytest.mark.parametrize("damage", COUNTERS)
def test_damaged_counters_are_noticed_and_derived_from_the_rows(
    open_outbox: Callable[..., Outbox], queue_path: Path, damage: str, is_running: bool
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(30))
    batch = outbox.batches.take(Take(10)).batch
    assert batch is not None
    outbox.batches.settle(Settlement(batch, 10), None)
    if not is_running:
        outbox.close()
    spoil(queue_path, f"UPDATE tally SET {damage}")
    outbox = outbox if is_running else open_outbox()
    counts = outbox.waiting.counts()
    assert (counts.pending, counts.last_id, counts.lost_total) == (20, 30, 0)
    assert counts.accepted_total <= 10
    assert told(outbox) == [MendedOutboxError]
    assert drain(outbox) == events(20, first=10)
    assert outbox.waiting.counts().pending == 0


@pytest.mark.parametrize("rows", [0, 5])
@pytest.mark.parametrize(
    "sequence",
    ["0", "20", "last_id & ~20", "last_id | 1048576", "9223372036854775807", "'x'", "x'ff'", "-7"],
)
@pytest.mark.parametrize("is_running", [False, True])
def test_no_id_is_given_twice_whatever_becomes_of_the_sequence(
    open_outbox: Callable[..., Outbox],
    queue_path: Path,
    sequence: str,
    rows: int,
    is_running: bool,
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(22))
    keys = {}
    while batch := outbox.batches.take(Take(1)).batch:
        keys[batch.key] = batch.body
        outbox.batches.settle(Settlement(batch, 1), None)
    outbox.commit.append(events(rows))
    last_id = outbox.waiting.counts().last_id
    if not is_running:
        outbox.close()
    spoil(queue_path, f"UPDATE tally SET last_id = {sequence}")
    if is_running:
        outbox.look_after()  # as the sender does before each round
    else:
        outbox = open_outbox()
    outbox.commit.append(events(1, first=100))
    assert outbox.waiting.counts().pending == rows + 1
    assert outbox.waiting.peek(100)[-1].id > last_id
    assert told(outbox) == [MendedOutboxError]
    while batch := outbox.batches.take(Take(1)).batch:
        assert batch.key not in keys
        outbox.batches.settle(Settlement(batch, 1), None)


@pytest.mark.parametrize("inserts", ["before anything else", "by another process's client"])
def test_ids_that_a_damaged_sequence_passed_over_are_not_counted_as_lost(
    open_outbox: Callable[..., Outbox], queue_path: Path, inserts: str
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(30))
    assert drain(outbox) == events(30)
    outbox.commit.append(events(5))
    other = outbox if inserts == "before anything else" else open_outbox()
    spoil(queue_path, "UPDATE tally SET last_id = last_id + 500")
    other.commit.append(events(2, first=5))  # from here on the sequence fits the newest row
    assert (outbox.waiting.counts().pending, outbox.waiting.counts().lost_total) == (7, 0)
    assert told(other) == [MendedOutboxError]
    assert drain(outbox) == events(7)
    assert told(outbox) == []


@pytest.mark.parametrize("is_running", [False, True])
def test_a_sequence_that_was_raised_is_put_back_and_nothing_is_lost(
    open_outbox: Callable[..., Outbox], queue_path: Path, is_running: bool
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(30))
    if not is_running:
        outbox.close()
    spoil(queue_path, "UPDATE tally SET last_id = last_id + 500")
    outbox = outbox if is_running else open_outbox()
    counts = outbox.waiting.counts()
    assert (counts.pending, counts.last_id, counts.lost_total) == (30, 30, 0)
    assert told(outbox) == [MendedOutboxError]
    assert drain(outbox) == events(30)


def test_a_sequence_at_its_end_is_not_taken_for_a_full_disk(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(2))
    spoil(queue_path, "UPDATE tally SET last_id = 9223372036854775807")
    outbox.commit.append(events(1, first=2))
    assert drain(outbox) == events(3)
    spoil(queue_path, "UPDATE tally SET last_id = 9223372036854775807")
    outbox.commit.append(events(1))
    assert drain(outbox) == events(1)
    assert told(outbox) == [MendedOutboxError] * 2


def test_a_queue_is_full_only_where_so_many_wait(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox, without_caps = open_outbox(caps=Caps(max_events=50)), open_outbox()
    outbox.commit.append(events(40))
    spoil(queue_path, "UPDATE tally SET last_id = last_id + 1040")
    without_caps.commit.append(events(1))  # from here on the sequence fits the newest row
    for number in range(9):
        outbox.commit.append(events(1, first=number))
    with pytest.raises(QueueFullError):
        outbox.commit.append(events(1))
    assert outbox.waiting.counts().pending == 50


def test_nothing_gives_way_where_there_is_room(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox(caps=Caps(max_events=50, drops_oldest=True))
    outbox.commit.append(events(40))
    spoil(queue_path, "UPDATE tally SET removed = removed - 1000")
    outbox.commit.append(events(10))
    assert (outbox.waiting.counts().pending, outbox.waiting.counts().dropped_total) == (50, 0)


def test_no_id_is_given_twice_by_whichever_process_after_the_newest_rows_have_left(
    open_outbox: Callable[..., Outbox],
) -> None:
    given: list[int] = []
    some = [open_outbox(), open_outbox()]
    for turn in range(12):
        if turn % 5 == 4:
            some.pop(0).close()
            some.append(open_outbox())
        some[turn % 2].commit.append(events(1 + turn % 3))
        given += [row.id for row in some[0].waiting.peek(9)]
        drain(some[turn // 2 % 2])
    assert given == list(range(1, len(given) + 1))
    assert [told(each) for each in some] == [[], []]


def test_no_id_is_given_again_after_rows_have_vanished_that_were_given_it(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(5))
    spoil(queue_path, "DELETE FROM queue_outbox WHERE _id > 2")
    outbox.commit.append(events(1, first=5))
    assert [row.id for row in outbox.waiting.peek(9)] == [1, 2, 6]
    assert drain(outbox) == [*events(2), *events(1, first=5)]
    outbox.look_after()
    assert (outbox.waiting.counts().pending, outbox.waiting.counts().lost_total) == (0, 3)


def test_an_event_takes_one_page_of_the_log(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(1))
    log = queue_path.with_name(queue_path.name + "-wal")
    before = log.stat().st_size
    for number in range(5):
        outbox.commit.append(events(1, first=number))
    assert log.stat().st_size - before == 5 * (24 + 4096)
