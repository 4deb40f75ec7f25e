"""What waits: how much, whose, and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.outbox import Settlement
from support.outboxes import events, spoil, take

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.outbox import Outbox


def test_what_waits_is_what_was_stored_and_not_settled(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(5))
    outbox.batches.settle(Settlement(take(outbox, 2), 2), None)
    counts = outbox.waiting.counts()
    assert (counts.pending, counts.accepted_total, counts.last_id) == (3, 2, 5)
    assert [row.id for row in outbox.waiting.peek(2)] == [3, 4]
    assert outbox.waiting.count_after(3) == 2
    assert not outbox.waiting.has_rows_up_to(2)
    assert outbox.waiting.has_rows_up_to(3)


def test_those_whose_events_are_oldest_come_first(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    for name in ("b", "a", "c", "b"):
        outbox.commit.append(events(1), f"user:{name}")
    assert outbox.waiting.identities() == ["user:b", "user:a", "user:c"]
    assert outbox.waiting.count_of(["user:b", "user:c", "user:d"]) == {
        "user:b": 2,
        "user:c": 1,
        "user:d": 0,
    }
    assert outbox.waiting.count_public() == 4


def test_an_event_under_a_secret_key_is_found_behind_those_of_others_and_looked_for_once(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(1200), "user:a")
    assert outbox.waiting.find_secret(0) == (1200, False)
    outbox.commit.append(events(1))
    assert "" not in outbox.waiting.identities()  # it is not the oldest
    assert outbox.waiting.find_secret(1200) == (1200, True)


def test_an_identity_that_is_damaged_beyond_reading_is_nobodys(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(2), "user:a")
    outbox.close()
    spoil(queue_path, "UPDATE queue_outbox SET identity = x'ff' WHERE _id = 1")
    outbox = open_outbox()
    assert set(outbox.waiting.identities()) == {"", "user:a"}


def test_the_newest_events_are_read_in_part_and_without_those_that_were_read_before(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append([b'{"long": "%s"}' % (b"x" * 1000), *events(4)])
    heads = outbox.waiting.latest(3, after=0, longest=10)
    assert [each.id for each in heads] == [5, 4, 3]
    assert [each.id for each in outbox.waiting.latest(9, after=4, longest=10)] == [5]
    first = outbox.waiting.latest(9, after=0, longest=10)[-1]
    assert (first.data, first.size) == (b'{"long": "', 1012)
    assert first.tracked_at > 0


def test_whether_events_wait_still_is_told_by_their_ids(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(5))
    outbox.batches.settle(Settlement(take(outbox, 2), 2), None)
    assert outbox.waiting.still([1, 2, 3, 99]) == {3}
    assert outbox.waiting.still([]) == set()


def test_an_event_that_is_damaged_beyond_reading_is_looked_at_all_the_same(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(2))
    outbox.close()
    spoil(queue_path, "UPDATE queue_outbox SET data = 7, timestamp = 'never' WHERE _id = 2")
    outbox = open_outbox()
    damaged, _ = outbox.waiting.latest(9, after=0, longest=100)
    assert (damaged.tracked_at, damaged.data) == (0.0, b"7")
