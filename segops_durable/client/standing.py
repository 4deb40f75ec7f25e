"""How a client and its outbox stand."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from segops_durable.delivery import Stats
from segops_durable.identity import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segops_durable.client.delivery import Delivery
    from segops_durable.outbox import Outbox
    from segops_durable.system.clock import Clock


def stats_of(outbox: Outbox, delivery: Delivery, clock: Clock, *, screened_out: int) -> Stats:
    """Say how a client and its outbox stand.

    Args:
        outbox: What it stores into.
        delivery: What sends.
        clock: The time.
        screened_out: Events that `before_store` has dropped.

    Raises:
        ClosedError: The outbox is closed.
    """
    counts = outbox.waiting.counts()
    sender, accepted_at = delivery.sender, counts.last_accepted_at
    turn_in = delivery.pacer.wait_left
    return Stats(
        pending=counts.pending,
        dead=counts.dead,
        oldest_age=None if counts.oldest_at is None else max(0, clock.time() - counts.oldest_at),
        queue_bytes=counts.queue_bytes,
        accepted_total=counts.accepted_total,
        dropped_total=counts.dropped_total,
        lost_total=counts.lost_total,
        expired_total=counts.expired_total,
        state=delivery.flushing.state,
        retry_at=datetime.fromtimestamp(clock.time() + turn_in, timezone.utc)
        if turn_in
        else sender.retry_at,
        last_error=delivery.report.last_error,
        last_accepted_at=accepted_at
        if accepted_at is None
        else datetime.fromtimestamp(accepted_at, timezone.utc),
        held=_by_name(outbox.waiting.count_of(sender.held)),
        screened_out=screened_out,
        requests_per_minute=delivery.pacer.per_minute,
    )


def _by_name(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts of identities as the application calls them; two may go by one name."""
    found: Counter[str] = Counter()
    for identity, count in counts.items():
        found[name_of(identity)] += count
    return dict(+found)
