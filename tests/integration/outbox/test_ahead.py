"""What was read ahead is sent only as far as it is what would be read now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segops_durable.outbox import Outbox, Settlement, Take
from segops_durable.outbox.caps import Caps
from segops_durable.system.clock import Moment
from support.clock import MovableClock
from support.outboxes import drain, events, spoil, take

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.outbox import Batch
    from segops_durable.outbox.ahead import Ahead

NEXT = Take(5)


def named(user: str, count: int, first: int = 0) -> list[bytes]:
    return [b'{"user_id":"%s","n":%d}' % (user.encode(), n) for n in range(first, first + count)]


def read_ahead(outbox: Outbox, what: Take = NEXT) -> Ahead:
    outbox.batches.read_ahead(what)
    ahead = outbox.batches._taking._ahead
    assert ahead is not None
    return ahead


def settled(outbox: Outbox, batch: Batch, then: Take = NEXT) -> Batch:
    taken = outbox.batches.settle(Settlement(batch, len(batch.rows)), then)
    assert taken.batch is not None
    return taken.batch


def test_what_was_read_ahead_is_taken_as_it_would_be_without(
    open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    bodies, ends = [], []
    for is_ahead in (True, False):
        outbox = open_outbox(tmp_path / f"{is_ahead}.db")
        outbox.commit.append(events(20))
        batch, found = take(outbox, limit=5), []
        for _ in range(3):
            ahead = read_ahead(outbox) if is_ahead else None
            batch = settled(outbox, batch)
            assert ahead is None or batch.body is ahead.body
            assert outbox.batches._taking._ahead is None
            found.append(batch)
        bodies.append([each.body for each in found])
        ends.append([each.key.removeprefix(outbox.owner.uuid) for each in found])
        assert outbox.batches.is_whole(batch)
        outbox.close()  # and a crash sends it again, under the same key
        assert take(open_outbox(tmp_path / f"{is_ahead}.db")).key == batch.key
    assert bodies[0] == bodies[1]
    assert ends[0] == ends[1]


@pytest.mark.parametrize("identity", ["", "user:a"])
def test_events_of_others_among_them_do_not_matter(
    open_outbox: Callable[..., Outbox], identity: str
) -> None:
    outbox = open_outbox()
    for n in range(10):
        outbox.commit.append(events(1, first=n), identity)
        outbox.commit.append(events(1, first=100 + n), "user:b")
    batch = take(outbox, limit=5, identity=identity)
    ahead = read_ahead(outbox, Take(5, identity))
    assert settled(outbox, batch, Take(5, identity)).body is ahead.body
    assert [row.data for row in ahead.rows] == events(5, first=5)


def test_who_was_erased_meanwhile_is_not_sent(open_outbox: Callable[..., Outbox]) -> None:
    outbox, other = open_outbox(), open_outbox()
    outbox.commit.append([*named("bob", 6), *named("annabel", 2, 6), *named("bob", 7, 8)])
    batch = take(outbox, limit=5)
    read_ahead(outbox)
    assert other.erasure.forget("annabel") == 2
    after = settled(outbox, batch)
    assert [row.data for row in after.rows] == [*named("bob", 1, 5), *named("bob", 4, 8)]


def test_what_another_process_sent_meanwhile_is_not_sent_again(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox, other = open_outbox(), open_outbox()
    outbox.commit.append(events(20))
    batch = take(outbox, limit=5)
    read_ahead(outbox)
    first = other.batches.take(Take(5, aside=(batch.key,))).batch
    assert first is not None
    second = other.batches.settle(Settlement(first, 5), Take(5, aside=(batch.key,))).batch
    assert second is not None  # it is on its way
    after = settled(outbox, batch, Take(5, aside=(second.key,)))
    assert [row.data for row in after.rows] == events(5, first=15)


def test_what_gave_way_to_new_events_meanwhile_is_not_sent(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox(caps=Caps(max_events=15, drops_oldest=True))
    outbox.commit.append(events(15))
    batch = take(outbox, limit=5)
    read_ahead(outbox)
    outbox.commit.append(events(3, first=15))
    after = settled(outbox, batch)
    assert [row.data for row in after.rows] == events(5, first=8)


def test_a_damaged_row_is_not_read_ahead_and_is_buried_when_it_is_taken(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(12))
    batch = take(outbox, limit=5)
    spoil(queue_path, "UPDATE queue_outbox SET data = x'7b7d' WHERE _id = 8")
    outbox.batches.read_ahead(NEXT)
    assert outbox.batches._taking._ahead is None
    taken = outbox.batches.settle(Settlement(batch, 5), NEXT)
    assert taken.damaged == 1
    assert taken.batch is not None
    assert [row.id for row in taken.batch.rows] == [6, 7, 9, 10, 11]
    assert [letter.data for letter in outbox.dead_letters] == [b"{}"]


@pytest.mark.parametrize("change", ["data = x'7b7d', crc = 1", "_id = 13", "identity = 'user:a'"])
def test_a_row_that_is_another_meanwhile_is_not_sent_as_it_was(
    open_outbox: Callable[..., Outbox], queue_path: Path, change: str
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(12))
    batch = take(outbox, limit=5)
    ahead = read_ahead(outbox)
    spoil(queue_path, f"UPDATE queue_outbox SET {change} WHERE _id = 8")
    assert settled(outbox, batch).body != ahead.body


def test_a_batch_that_is_not_full_is_not_read_ahead_and_takes_in_what_comes(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(9))
    batch = take(outbox, limit=5)
    outbox.batches.read_ahead(NEXT)
    outbox.commit.append(events(1, first=9))
    after = settled(outbox, batch)
    assert [row.data for row in after.rows] == events(5, first=5)


def test_a_batch_that_was_given_back_goes_first(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(20))
    batch = take(outbox, limit=5)
    read_ahead(outbox)
    again = outbox.batches.release(batch, NEXT).batch
    assert again is not None
    assert again.body == batch.body
    assert drain(outbox) == events(20)


def test_a_batch_that_was_marked_meanwhile_goes_first(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox, other = open_outbox(), open_outbox()
    outbox.commit.append(events(20))
    batch = take(outbox, limit=5)
    read_ahead(outbox)
    marked = other.batches.take(Take(2, aside=(batch.key,))).batch
    assert marked is not None
    assert settled(outbox, batch).key == marked.key


def test_no_row_of_a_batch_that_was_marked_meanwhile_is_in_another(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox, other = open_outbox(), open_outbox()
    outbox.commit.append(events(20))
    batch = take(outbox, limit=5)
    read_ahead(outbox)
    marked = other.batches.take(Take(2, aside=(batch.key,))).batch
    assert marked is not None
    first, second = other.batches.halve(marked, None).made
    other.batches.give_back([first])
    after = settled(outbox, batch, Take(5, aside=(second,)))
    assert [row.data for row in after.rows] == events(1, first=5)


@pytest.mark.parametrize(
    "then", [Take(4), Take(6), Take(5, "user:a"), Take(5, max_bytes=30), Take(5, up_to=5)]
)
def test_what_was_read_for_another_question_is_not_the_answer(
    open_outbox: Callable[..., Outbox], then: Take
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(20))
    outbox.commit.append(events(5, first=20), "user:a")
    batch = take(outbox, limit=5)
    ahead = read_ahead(outbox)
    after = outbox.batches.settle(Settlement(batch, 5), then).batch
    assert after is None or after.body != ahead.body


def test_times_are_corrected_though_the_clock_was_set_since_they_were_read(
    open_outbox: Callable[..., Outbox],
) -> None:
    clock = MovableClock()
    outbox = open_outbox(clock=clock)
    data = b'{"user_id":"u","event_type":"e","occurred_at":"2027-01-15T08:00:00.000Z","payload":{}}'
    outbox.commit.append([data] * 10, moments=[clock.moment()] * 10)
    batch = take(outbox, limit=5)
    ahead = read_ahead(outbox)
    clock.set(3600.0)
    after = settled(outbox, batch)
    assert after.body != ahead.body
    assert b"2027-01-15T09:00:00" in after.body


def test_events_of_an_earlier_boot_are_read_ahead_as_they_are(
    open_outbox: Callable[..., Outbox],
) -> None:
    clock = MovableClock()
    outbox = open_outbox(clock=clock)
    moments = [Moment(clock.time(), 5.0, 7), Moment(clock.time())] * 5
    outbox.commit.append(events(10), moments=moments)
    batch = take(outbox, limit=5)
    ahead = read_ahead(outbox)
    assert settled(outbox, batch).body is ahead.body
