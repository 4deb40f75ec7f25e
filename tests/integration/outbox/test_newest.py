"""A batch of the newest rows is a range that no other batch has a part in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segops_durable.outbox import Outbox, Settlement, Take
from support.outboxes import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.outbox import Batch


def ids(batch: Batch) -> list[int]:
    return [row.id for row in batch.rows]


def taken(outbox: Outbox, take: Take) -> Batch:
    batch = outbox.batches.take(take).batch
    assert batch is not None
    return batch


def test_rows_of_others_lie_between_and_are_in_nobodys_batch(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    for first in range(0, 60, 3):
        outbox.commit.append(events(2, first), "user:a")
        outbox.commit.append(events(1, first + 2), "user:b")
    take = Take(5, "user:a", newest_share=0.75)
    sent: list[bytes] = []
    while batch := outbox.batches.take(take).batch:
        assert batch.identity == "user:a"
        sent += [row.data for row in batch.rows]
        outbox.batches.settle(Settlement(batch, len(batch.rows)), None)
    assert sorted(sent) == sorted(data for n, data in enumerate(events(60)) if n % 3 != 2)
    assert outbox.waiting.counts().pending == 20


def test_it_is_found_below_what_is_in_flight_and_the_oldest_before_it(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(100))
    keys: tuple[str, ...] = ()
    found: list[list[int]] = []
    for share in (0.5, 0.5, 0.0, 0.5, 0.5, 0.0):
        batch = taken(outbox, Take(10, newest_share=share, aside=keys))
        keys += (batch.key,)
        found.append(ids(batch))
    assert [each[0] for each in found] == [1, 91, 11, 21, 81, 31]
    assert all(each == [*range(each[0], each[0] + 10)] for each in found)
    outbox.close()
    again = open_outbox()  # after a crash each is what it was, whichever end it was made of
    known: tuple[str, ...] = ()
    for _ in keys:
        known += (taken(again, Take(50, newest_share=0.9, aside=known)).key,)
    assert sorted(known) == sorted(keys)


def test_a_few_that_came_behind_one_in_flight_are_left_and_the_backlog_before_it_is_not(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(100))
    oldest = taken(outbox, Take(10, newest_share=0.5))
    newest = taken(outbox, Take(10, newest_share=0.5, aside=(oldest.key,)))
    outbox.commit.append(events(3, first=100))
    aside = (oldest.key, newest.key)
    second = taken(outbox, Take(10, newest_share=0.9, aside=aside))
    third = taken(outbox, Take(10, newest_share=0.9, aside=(*aside, second.key)))
    assert [ids(each)[0] for each in (newest, second, third)] == [91, 11, 81]


@pytest.mark.parametrize(("waiting", "first"), [(20, 1), (21, 12)])
def test_more_than_two_batches_are_a_backlog(
    open_outbox: Callable[..., Outbox], waiting: int, first: int
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(waiting))
    outbox.batches.take(Take(10, minimum=1000, newest_share=0.9))
    assert ids(taken(outbox, Take(10, newest_share=0.9)))[0] == first
