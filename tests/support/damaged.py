"""Outboxes on a disk that lies."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from segops_durable.identity.identities import NO_IDENTITY
from segops_durable.outbox import Outbox, Take
from segops_durable.outbox.records.batch import Settlement

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 10_000
URL = "https://api.segops.ai"


def open_outbox(path: Path) -> Outbox:
    return Outbox(path, api_url=URL, key_fingerprint="k")


def drain(outbox: Outbox) -> tuple[set[bytes], set[bytes]]:
    """Settle all that waits; return what was sent, and what is in the dead letters."""
    sent: set[bytes] = set()
    is_promising = True
    while is_promising:
        is_promising = False
        for identity in {*outbox.waiting.identities(), NO_IDENTITY}:
            batch = outbox.batches.take(Take(2000, identity)).batch
            while batch is not None:
                is_promising = True
                sent |= {row.data for row in batch.rows}
                done = Settlement(batch, len(batch.rows))
                batch = outbox.batches.settle(done, Take(2000, identity)).batch
    return sent, {letter.data for letter in outbox.dead_letters}


def fill_with_noise(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))
