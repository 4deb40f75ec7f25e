"""The queue on disk: append, take the next batch, settle it. `outbox.outbox` has the contract."""

from __future__ import annotations

from segops_durable.outbox.caps import Caps
from segops_durable.outbox.leftovers import find_outbox, warn_of_leftovers
from segops_durable.outbox.letters import Cause, DeadLetter, Letter, read_event
from segops_durable.outbox.outbox import Outbox
from segops_durable.outbox.rows import (
    Batch,
    Checkpoint,
    Counts,
    Row,
    Settlement,
    Take,
    Taken,
)

__all__ = [
    "Batch",
    "Caps",
    "Cause",
    "Checkpoint",
    "Counts",
    "DeadLetter",
    "Letter",
    "Outbox",
    "Row",
    "Settlement",
    "Take",
    "Taken",
    "find_outbox",
    "read_event",
    "warn_of_leftovers",
]
