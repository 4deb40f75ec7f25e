"""Outboxes that tests fill, spoil and empty."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from segops_durable.identity.identities import NO_IDENTITY
from segops_durable.outbox import Outbox, Settlement, Take

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.outbox import Batch

URL = "https://api.segops.ai"


def events(count: int, first: int = 0) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(first, first + count)]


def take(outbox: Outbox, limit: int = 20, identity: str = NO_IDENTITY) -> Batch:
    batch = outbox.batches.take(Take(limit, identity)).batch
    assert batch is not None
    return batch


def spoil(path: Path, sql: str) -> None:
    """Change a file as damage would: past this package, and past the tables' own checks."""
    with closing(sqlite3.connect(path)) as file:
        file.execute(sql)
        file.commit()


def told(outbox: Outbox) -> list[type]:
    return [type(incident) for incident in outbox.pop_incidents()]


def drain(outbox: Outbox) -> list[bytes]:
    sent: list[bytes] = []
    while batch := outbox.batches.take(Take(20)).batch:
        sent += [row.data for row in batch.rows]
        outbox.batches.settle(Settlement(batch, len(batch.rows)), None)
    return sent
