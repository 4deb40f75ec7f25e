from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from support.relays import RelayProcess, RunningRelay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


@pytest.fixture
def relay_home(tmp_path: Path) -> Path:
    home = tmp_path / "relay"
    home.mkdir()
    return home


@pytest.fixture
def make_relay(sandbox: Sandbox, relay_home: Path) -> Iterator[Callable[..., RunningRelay]]:
    """Makes relays of the sandbox, which run; they are ended at the end."""
    with ExitStack() as relays:

        def make(*flags: str, **more: Any) -> RunningRelay:
            return relays.enter_context(RunningRelay(sandbox.url, relay_home, flags, **more))

        yield make


@pytest.fixture
def relay(make_relay: Callable[..., RunningRelay]) -> RunningRelay:
    return make_relay()


@pytest.fixture
def make_process(sandbox: Sandbox, relay_home: Path) -> Iterator[Callable[..., RelayProcess]]:
    """Makes relays in processes of their own."""
    with ExitStack() as relays:

        def make(*flags: str, **more: Any) -> RelayProcess:
            return relays.enter_context(RelayProcess(sandbox.url, relay_home, flags, **more))

        yield make


@pytest.fixture
def relay_process(make_process: Callable[..., RelayProcess]) -> RelayProcess:
    return make_process()
