"""What the tests of the asynchronous client share: they run in a loop of each kind."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from segops_durable.aio import AsyncSegOpsClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

LOOPS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}


@pytest.fixture(params=list(LOOPS))
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs a coroutine function to its end, in a new loop each time it is called."""
    if request.param == "uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop has no wheels for this Python")
    return lambda main: anyio.run(main, **LOOPS[request.param])


@pytest.fixture
def make_async(sandbox: Sandbox, queue_path: Path) -> Callable[..., AsyncSegOpsClient]:
    """Makes clients of the sandbox, which the test shuts down."""

    def make(api_key: str = "sk_test", **options: Any) -> AsyncSegOpsClient:
        chosen = {
            "queue_path": queue_path,
            "flush_interval": 30.0,
            "on_error": lambda _error: None,
            **options,
        }
        return AsyncSegOpsClient(chosen.pop("api_url", sandbox.url), api_key, **chosen)

    return make
