"""How an outbox stands, as far as its file and its sender tell."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from segops_durable.api import rate_of, spare_of
from segops_durable.cli.command import is_verbose
from segops_durable.cli.output import (
    moment,
)

if TYPE_CHECKING:
    from segops_durable.outbox import Outbox

CHAIN = "last_error_chain"
"""The entry of a sender's note that has what led to its last error."""


def how_it_stands(outbox: Outbox) -> dict[str, Any]:
    """Everything that is known of an outbox, by name."""
    counts = outbox.waiting.counts()
    age = None if counts.oldest_at is None else max(0.0, time.time() - counts.oldest_at)
    return {
        "outbox": str(outbox.path),
        "api_url": outbox.owner.api_url,
        "waiting": counts.pending,
        "oldest_age_seconds": None if age is None else round(age, 3),
        "under_public_key": outbox.waiting.count_public(),
        "dead": counts.dead,
        "queue_bytes": counts.queue_bytes,
        "accepted_total": counts.accepted_total,
        "dropped_total": counts.dropped_total,
        "lost_total": counts.lost_total,
        "expired_total": counts.expired_total,
        "last_accepted_at": moment(counts.last_accepted_at),
        "requests_per_minute": _rate_of(outbox),
        "sender": _sender_of(outbox),
    }


def _rate_of(outbox: Outbox) -> float | None:
    """What is known now of how many requests a minute may be made; None if nothing is."""
    kept = outbox.kept_rate() or {}
    learned = rate_of(kept.get("per_minute"))
    return None if learned is None else round(learned + (spare_of(kept) or 0.0), 3)


def _sender_of(outbox: Outbox) -> dict[str, Any] | None:
    note = outbox.sender_lock.note()
    if note is None or is_verbose():
        return note
    return {name: value for name, value in note.items() if name != CHAIN}
