"""A damaged dead letter is shown, and never sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segops_durable import DamagedEventError
from segops_durable.outbox import Cause, Letter, Outbox, Settlement, Take
from support.outboxes import drain, events, spoil, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.one_python
LETTER = [
    "data = x'7b7d'",
    "data = 'text'",
    "identity = 'user:bob'",
    "identity = CAST(x'ff' AS TEXT)",
    "tracked_at = 1e300",
    "tracked_at = 'never'",
    "died_at = -1e300",
    "cause = 'unheard_of'",
    "reason = x'ff'",
    "status = 'x'",
    "answer = 7",
    "seal = 0",
]


@pytest.mark.parametrize("damage", LETTER)
def test_a_damaged_letter_is_shown_and_never_sent_again(
    open_outbox: Callable[..., Outbox], queue_path: Path, damage: str
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(2))
    for number in range(2):
        batch = outbox.batches.take(Take(1)).batch
        assert batch is not None
        letter = Letter(Cause.REFUSED, f"the {number}th", 400, "no")
        outbox.batches.settle(Settlement(batch, 0, letter), None)
    spoil(queue_path, f"UPDATE dead_letters SET {damage} WHERE _id = 1")
    assert told(outbox) == []
    damaged, whole = outbox.dead_letters
    assert told(outbox) == [DamagedEventError]
    assert (damaged.cause, whole.cause) == (Cause.DAMAGED, Cause.REFUSED)
    assert outbox.dead_letters.retry([1]) == 0
    assert outbox.dead_letters.retry() == 1
    assert drain(outbox) == events(1, first=1)
    assert [letter.id for letter in outbox.dead_letters] == [1]
    assert told(outbox) == []  # it was, once
    assert outbox.dead_letters.discard([1]) == 1


@pytest.mark.parametrize("ids", [None, [1]])
def test_a_damaged_letter_that_shall_be_sent_again_is_told_of(
    open_outbox: Callable[..., Outbox], queue_path: Path, ids: list[int] | None
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(1))
    batch = outbox.batches.take(Take(1)).batch
    assert batch is not None
    outbox.batches.settle(Settlement(batch, 0, Letter(Cause.REFUSED, "no", 400, "no")), None)
    spoil(queue_path, "UPDATE dead_letters SET identity = 'user:bob'")
    assert outbox.dead_letters.retry(ids) == 0
    (error,) = outbox.pop_incidents()
    assert isinstance(error, DamagedEventError)
    assert "1 dead letters are not what was written: 1" in str(error)


def test_a_letters_number_is_not_given_again(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    for is_first in (True, False):
        outbox.commit.append(events(1))
        batch = outbox.batches.take(Take(1)).batch
        assert batch is not None
        outbox.batches.settle(Settlement(batch, 0, Letter(Cause.REFUSED, "so")), None)
        if is_first:
            outbox.dead_letters.discard([1])
            spoil(queue_path, "UPDATE tally SET last_id = last_id + 1")
    assert [letter.id for letter in outbox.dead_letters] == [2]
