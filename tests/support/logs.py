"""What a killed process leaves: a file of some rows, and a log with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable import DamagedOutboxError
from segops_durable.outbox import Outbox, Take
from segops_durable.outbox.records.batch import Settlement

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable import SegOpsError

ROWS = 60
PAGE, FRAME = 4096, 4120


def open_outbox(path: Path) -> Outbox:
    return Outbox(path, api_url="https://api.segops.ai", key_fingerprint="k")


def event(number: int) -> bytes:
    return b'{"n":%d,"x":"%s"}' % (number, b"y" * 90)


def drained(path: Path, *more: bytes) -> tuple[list[bytes], list[bytes], int, list[SegOpsError]]:
    """Open an outbox and settle all; return what was sent, what is dead, lost, and was told."""
    outbox = open_outbox(path)
    if more:
        outbox.commit.append(more)
    sent: list[bytes] = []
    batch = outbox.batches.take(Take(500)).batch
    while batch is not None:
        sent += [row.data for row in batch.rows]
        batch = outbox.batches.settle(Settlement(batch, len(batch.rows)), Take(500)).batch
    dead = [letter.data for letter in outbox.dead_letters]
    told = [each for each in outbox.pop_incidents() if isinstance(each, DamagedOutboxError)]
    lost = outbox.waiting.counts().lost_total
    outbox.close()
    return sent, dead, lost, list(told)
