"""A client that waits says so, once, where an event loop would wait with it."""

from __future__ import annotations

import asyncio
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import trio

from segops_durable import BlockedLoopWarning, SegOpsClient
from segops_durable.client import loop_warning
from segops_durable.testing import MemoryClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., SegOpsClient]


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_warning, "_TOLD", [])


@pytest.fixture
def told() -> Any:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


RUNS: dict[str, Callable[..., Any]] = {"asyncio": asyncio.run, "trio": trio.run}


def run(loop: str, work: Callable[[], object]) -> None:
    async def main() -> None:
        work()

    RUNS[loop](main() if loop == "asyncio" else main)


@pytest.mark.parametrize("loop", list(RUNS))
def test_to_make_one_within_a_loop_is_warned_of_once_with_the_name_of_the_other(
    loop: str, make_client: Make, told: Any
) -> None:
    run(loop, make_client)
    run(loop, lambda: make_client().flush(0))
    (warning,) = told
    assert issubclass(warning.category, BlockedLoopWarning)
    assert issubclass(warning.category, RuntimeWarning)
    assert "SegOpsClient() within a running event loop" in str(warning.message)
    assert "AsyncSegOpsClient" in str(warning.message)
    assert warning.filename.endswith("conftest.py")  # whose line it is


def test_to_flush_within_a_loop_is_warned_of(make_client: Make, told: Any) -> None:
    client = make_client()
    run("asyncio", lambda: client.flush(0))
    (warning,) = told
    assert "SegOpsClient.flush()" in str(warning.message)
    assert warning.filename == __file__


def test_elsewhere_nobody_is_warned(make_client: Make, told: Any) -> None:
    make_client().flush(0)

    async def main() -> None:
        client = await asyncio.to_thread(make_client)
        client.track(user_id="u", event_type="e")
        await asyncio.to_thread(client.flush, 0)

    asyncio.run(main())
    trio.run(trio.to_thread.run_sync, make_client)
    assert told == []


def test_of_a_client_in_memory_which_waits_for_nothing_nobody_is_warned(told: Any) -> None:
    run("asyncio", lambda: MemoryClient("https://segops.test", "sk_test").flush())
    assert told == []


def test_in_a_notebook_nobody_is_warned(
    make_client: Make, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", warnings)  # any module
    run("asyncio", make_client)
    assert told == []


def test_it_can_be_silenced_or_made_an_error_before_anything_is_opened(
    make_client: Make, queue_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BlockedLoopWarning):
            run("asyncio", make_client)
        assert not queue_path.exists()
        loop_warning._TOLD.clear()
        warnings.simplefilter("ignore", BlockedLoopWarning)
        run("asyncio", make_client)
