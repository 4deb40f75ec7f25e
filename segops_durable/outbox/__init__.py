"""The queue on disk: append, take the next batch, settle it. `outbox.outbox` has the contract."""

from __future__ import annotations

from segops_durable.outbox.caps import Caps
from segops_durable.outbox.carrying import Place
from segops_durable.outbox.checking import scan
from segops_durable.outbox.files import (
    damaged_copies,
    filesystem_of,
    is_network_filesystem,
    sync_directory,
)
from segops_durable.outbox.leftovers import find_outbox, owner_of, warn_of_leftovers
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
    "Place",
    "Row",
    "Settlement",
    "Take",
    "Taken",
    "damaged_copies",
    "filesystem_of",
    "find_outbox",
    "is_network_filesystem",
    "owner_of",
    "read_event",
    "scan",
    "sync_directory",
    "warn_of_leftovers",
]
