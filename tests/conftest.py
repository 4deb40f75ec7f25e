from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import SegOpsClient
from segops_durable.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def queue_path(tmp_path: Path) -> Path:
    return tmp_path / "queue" / "outbox.db"


@pytest.fixture
def make_client(sandbox: Sandbox, queue_path: Path) -> Iterator[Callable[..., SegOpsClient]]:
    """Makes clients of the sandbox that are shut down, without an effort, at the end."""
    with ExitStack() as clients:

        def make(api_key: str = "sk_test", **options: Any) -> SegOpsClient:
            chosen = {
                "queue_path": queue_path,
                "flush_interval": 30.0,
                "on_error": lambda _error: None,
                **options,
            }
            client = SegOpsClient(chosen.pop("api_url", sandbox.url), api_key, **chosen)
            clients.callback(client.shutdown, 0)
            return client

        yield make
