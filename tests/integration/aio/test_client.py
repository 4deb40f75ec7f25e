"""The life of an asynchronous client: it begins, flushes, and ends, whatever is cancelled."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from segops_durable import (
    ClosedError,
    ConfigurationError,
    Options,
    SegOpsClient,
    StorageError,
    UncopyableClientError,
)
from segops_durable.aio import AsyncSegOpsClient
from support.aio import at_once, track, tracking, wait_for
from support.events import numbers
from support.peer import Peer, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

    Run = Callable[..., Any]
    Make = Callable[..., AsyncSegOpsClient]

LEFT_OUT = {"importer"}
"""What the README says why there is none of."""
UNTOUCHED = """
import asyncio, os, sys
from segops_durable.aio import AsyncSegOpsClient

async def main():
    seen = []
    sys.addaudithook(lambda name, given: seen.append((name, given)))
    AsyncSegOpsClient("https://segops.test", "sk_test", queue_path=sys.argv[1])
    AsyncSegOpsClient("https://segops.test", "sk_test")
    for name in ("open", "os.", "sqlite3.", "socket.", "_thread.", "import"):
        found = [each for each in seen if each[0].startswith(name)]
        assert not found, found
    assert len(asyncio.all_tasks()) == 1

asyncio.run(main())
assert not os.path.exists(os.path.dirname(sys.argv[1]))
"""


def test_the_constructor_touches_neither_disk_nor_loop_nor_thread(queue_path: Path) -> None:
    subprocess.run([sys.executable, "-c", UNTOUCHED, queue_path], check=True)


def test_what_is_tracked_arrives_once_in_order(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    async def main() -> None:
        async with make_async() as client:
            for number in range(3):
                await track(client, number)
            stored = await client.track_many(
                {"user_id": "u", "event_type": "e", "payload": {"n": n}} for n in range(3, 45)
            )
            await client.identify(user_id="u-1", traits={"n": 45})
            result = await client.flush(10)
            assert (stored, result.ok) == (42, True)
            assert (await client.stats()).pending == 0

    run(main)
    assert numbers(sandbox) == list(range(46))


def test_one_that_only_appends_leaves_it_to_another_to_send(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    async def main() -> None:
        async with make_async(sends=False) as client:
            await track(client, 0)
            result = await client.flush(60)
            assert (result.pending, result.state) == (1, "no_sender")
        assert numbers(sandbox) == []
        async with make_async() as client:
            assert (await client.flush(60)).ok

    run(main)
    assert numbers(sandbox) == [0]


def test_all_that_the_other_client_offers_is_offered_with_the_same_arguments() -> None:
    theirs = {name for name in dir(SegOpsClient) if not name.startswith("_")}
    ours = {name for name in dir(AsyncSegOpsClient) if not name.startswith("_")}
    assert theirs - ours == LEFT_OUT
    assert ours - theirs == {"start", "aclose"}
    for name in theirs - LEFT_OUT - {"anonymous_id"}:
        their, our = (
            inspect.signature(getattr(each, name)) for each in (SegOpsClient, AsyncSegOpsClient)
        )
        assert our.parameters == their.parameters, name
    constructors = [inspect.signature(each) for each in (SegOpsClient, AsyncSegOpsClient)]
    assert constructors[0] == constructors[1]


def test_a_client_can_be_made_of_the_environment_or_of_options(
    monkeypatch: pytest.MonkeyPatch, queue_path: Path
) -> None:
    monkeypatch.setenv("SEGOPS_API_URL", "https://segops.test")
    monkeypatch.setenv("SEGOPS_API_KEY", "sk_secret")
    made = AsyncSegOpsClient.from_env(queue_path=queue_path)
    options = Options(api_url="https://segops.test", api_key="sk_secret", queue_path=queue_path)
    assert repr(made) == repr(AsyncSegOpsClient.of(options)) == f"AsyncSegOpsClient({options!r})"
    assert "sk_secret" not in repr(made)
    with pytest.raises(ConfigurationError, match="batch_size"):
        AsyncSegOpsClient("https://segops.test", "sk_test", batch_size=0)


def test_the_first_call_opens_the_outbox_if_nobody_has(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    async def main() -> None:
        client = make_async()
        assert await at_once(tracking(client, range(50))) == [None] * 50
        assert (await client.shutdown()).ok

    run(main)
    assert sorted(numbers(sandbox)) == list(range(50))


def test_a_start_that_failed_raises_and_the_next_one_tries_again(
    run: Run, make_async: Make, tmp_path: Path
) -> None:
    place = tmp_path / "place"

    async def main() -> None:
        place.write_text("in the way")
        client = make_async(queue_path=place / "outbox.db")
        with pytest.raises(StorageError):
            await client.start()
        with pytest.raises(StorageError):
            await track(client, 1)
        place.unlink()
        async with client:
            await track(client, 1)

    run(main)


def test_a_client_that_is_shut_down_refuses_calls_and_says_again_how_it_ended(
    run: Run, make_async: Make
) -> None:
    async def main() -> None:
        async with make_async() as client:
            await track(client, 1)
        first = await client.shutdown()
        assert (first.ok, first) == (True, await client.shutdown())
        await client.close()
        await client.aclose()
        calls: list[Any] = [client.start, client.flush, client.stats, client.reset]
        calls += tracking(client, [1])
        assert [type(error) for error in await at_once(calls)] == [ClosedError] * len(calls)
        with pytest.raises(ClosedError):
            _ = [letter async for letter in client.dead_letters()]

    run(main)


def test_a_client_that_was_never_used_can_be_shut_down_and_stays_so(
    run: Run, make_async: Make, queue_path: Path
) -> None:
    async def main() -> None:
        client = make_async()
        with pytest.raises(ConfigurationError, match="timeout"):
            await client.shutdown(float("nan"))
        assert (await client.shutdown()).ok
        with pytest.raises(ClosedError):
            await client.start()

    run(main)
    assert not queue_path.exists()


class Held:
    """A SegOps that holds its answers until it is let go."""

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()
        self.peer = Peer(self.react)

    def react(self, request: Request) -> bytes:
        self.asked.set()
        assert self.go.wait(60)
        return self.peer.accept(request)


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    with held.peer:
        yield held
        held.go.set()


@pytest.mark.parametrize("call", ["flush", "shutdown"])
def test_who_is_cancelled_while_it_is_sent_stops_waiting_only(
    run: Run, make_async: Make, held: Held, call: str
) -> None:
    async def main() -> None:
        client = make_async(api_url=held.peer.url, shutdown_timeout=60)
        await track(client, 1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(getattr(client, call))
            await wait_for(held.asked.is_set)
            tasks.cancel_scope.cancel()
        held.go.set()
        assert (await client.shutdown(60)).ok

    run(main)
    assert held.peer.accepted == {1: 1}
    assert len(held.peer.requests) == 1


def test_what_is_tracked_when_a_shutdown_begins_is_stored_or_refused(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    errors: list[Any] = []

    async def main() -> None:
        client = make_async()
        await client.start()
        early, late = tracking(client, range(50)), tracking(client, range(50, 100))
        errors.extend(await at_once([*early, lambda: client.shutdown(60), *late]))

    run(main)
    assert {type(error) for error in errors} <= {type(None), ClosedError}
    del errors[50]
    stored = [number for number, error in enumerate(errors) if error is None]
    assert sorted(numbers(sandbox)) == stored


def test_what_tasks_have_tracked_before_a_shutdown_begins_is_stored(
    make_async: Make, sandbox: Sandbox
) -> None:
    async def main() -> None:
        client = make_async()
        await client.start()
        # of asyncio the tasks begin in this order
        tracked = [asyncio.ensure_future(track(client, number)) for number in range(50)]
        assert (await asyncio.gather(client.shutdown(60), *tracked))[1:] == [None] * 50

    asyncio.run(main())
    assert sorted(numbers(sandbox)) == list(range(50))


@pytest.mark.parametrize("attempt", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_client_that_is_copied_says_what_to_do_instead(
    attempt: Callable[[Any], object], make_async: Make
) -> None:
    with pytest.raises(UncopyableClientError, match="have the other make a client of its own"):
        attempt(make_async())


FORGETFUL = """
import asyncio, sys
from segops_durable.aio import AsyncSegOpsClient

async def main():
    client = AsyncSegOpsClient(sys.argv[1], "sk_test", queue_path=sys.argv[2])
    await client.track(user_id="u", event_type="page_viewed", payload={"n": 7})

asyncio.run(main())
"""


def test_a_normal_exit_makes_the_effort_of_a_shutdown(sandbox: Sandbox, queue_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FORGETFUL, sandbox.url, queue_path], check=True)
    assert numbers(sandbox) == [7]
