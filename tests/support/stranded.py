"""Events that were left under another address, and commands on their machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.events import leave, numbered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient, SegOpsError

TYPO = "http://localhost:9"


def strand(
    make_client: Callable[..., SegOpsClient], count: int = 3, *, first: int = 0, **options: Any
) -> Path:
    """Leave events under an address with a typo; return their outbox."""
    chosen = {"api_url": TYPO, "queue_path": None, "max_retries": 0, **options}
    client = make_client(**chosen)
    for each in numbered(count, first):
        client.track(each)
    leave(client)
    return client._outbox.path


def use(make_client: Callable[..., SegOpsClient], **options: Any) -> list[SegOpsError]:
    """Send in a client of the present settings; return what is told."""
    told: list[SegOpsError] = []
    make_client(**{"queue_path": None, "on_error": told.append, **options}).shutdown(10)
    return told
