"""Damage that shows in the middle of a call is mended within it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segops_durable import DamagedOutboxError
from support.damaged import fill_with_noise
from support.events import numbers, track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient, SegOpsError
    from segops_durable.sandbox import Sandbox


@pytest.mark.long
def test_damage_that_shows_while_the_file_is_open_is_mended_within_the_call(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    sandbox.faults(status=503)
    told: list[SegOpsError] = []
    client = make_client(max_retries=0, on_error=told.append, batch_size=500)
    blob = "x" * 1000  # more than SQLite keeps in memory
    client.track_many(
        {"user_id": "u", "event_type": "e", "payload": {"n": n, "blob": blob}} for n in range(8000)
    )
    client.flush(timeout=60)
    client._outbox._store._live.current().writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    fill_with_noise(queue_path)
    for number in range(8000, 8300):
        track(client, 1, first=number)  # none of them raises
    sandbox.faults()
    assert client.flush(timeout=30).ok
    assert set(range(8000, 8300)) <= set(numbers(sandbox))
    assert any(isinstance(error, DamagedOutboxError) for error in told)
