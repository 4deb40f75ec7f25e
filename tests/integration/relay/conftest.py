from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from support.relays import RunningRelay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


@pytest.fixture
def make_relay(sandbox: Sandbox, tmp_path: Path) -> Iterator[Callable[..., RunningRelay]]:
    """Makes relays of the sandbox, which run; they are killed at the end."""
    with ExitStack() as relays:

        def make(*options: str, **more: Any) -> RunningRelay:
            home = tmp_path / "relay"
            home.mkdir(exist_ok=True)
            return relays.enter_context(RunningRelay(sandbox.url, home, options, **more))

        yield make


@pytest.fixture
def relay(make_relay: Callable[..., RunningRelay]) -> RunningRelay:
    return make_relay()
