"""What was erased of a batch on its way shows before each request, and when it is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.outbox import Settlement
from support.outboxes import take

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.outbox import Outbox

ROWS = [b'{"user_id":"%s","n":%d}' % (name, n) for n, name in enumerate([b"ann", b"bob", b"ann"])]


def test_what_was_erased_on_its_way_shows_when_a_batch_is_removed(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox, other = open_outbox(), open_outbox()
    outbox.commit.append(ROWS)
    batch = take(outbox)
    assert outbox.batches.is_whole(batch)
    assert other.erasure.forget("ann") == 2
    assert not outbox.batches.is_whole(batch)
    assert outbox.batches.settle_all([Settlement(batch, 3)], []) == ([], [2])
    assert outbox.waiting.counts().accepted_total == 1


def test_nobody_was_erased_where_a_batch_is_removed_again(
    open_outbox: Callable[..., Outbox],
) -> None:
    """As after a commit that raised, and is on disk all the same."""
    outbox = open_outbox()
    outbox.erasure.forget("cleo")
    outbox.commit.append(ROWS)
    batch = take(outbox)
    assert outbox.batches.is_whole(batch)
    for _ in range(2):
        assert outbox.batches.settle_all([Settlement(batch, 3)], []) == ([], [0])


def test_only_what_was_there_when_a_batch_was_let_go_counts(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append(ROWS)
    batch = take(outbox)
    outbox.erasure.forget("cleo")
    assert outbox.batches.settle_all([Settlement(batch, 3)], []) == ([], [0])
