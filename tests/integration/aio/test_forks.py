"""A child of a fork goes on with a loop and threads of its own, and so does its parent."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable.client import per_process, wiring
from support.aio import track
from support.children import in_child, status_of
from support.peer import Peer, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable.aio import AsyncSegOpsClient

    Make = Callable[..., AsyncSegOpsClient]

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
    # Python warns of what is tested here
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


@pytest.fixture
def segops() -> Iterator[Peer]:
    """A SegOps without SQLite: a thread inside it at the instant of a fork would hang a child."""

    def accept(request: Request) -> bytes:
        return peer.accept(request)

    with Peer(accept) as peer:
        yield peer


async def track_all(client: AsyncSegOpsClient, *numbers: int) -> None:
    await asyncio.gather(*(track(client, number) for number in numbers))


@pytest.mark.parametrize("is_open", [True, False])
def test_workers_that_are_forked_from_one_process_track_with_its_client(
    make_async: Make, segops: Peer, *, is_open: bool
) -> None:
    client = make_async(api_url=segops.url, flush_interval=0.1)
    if is_open:
        asyncio.run(track_all(client, 0))

    def work(child: int) -> None:
        asyncio.run(track_all(client, *range(100 * child, 100 * child + 50)))

    children = [in_child(lambda child=child: work(child)) for child in (1, 2, 3)]  # type: ignore[misc]
    asyncio.run(track_all(client, 1))
    assert [status_of(child) for child in children] == [0, 0, 0]

    async def close() -> None:
        assert (await client.flush(30)).ok
        await client.shutdown()

    asyncio.run(close())
    expected = {1, *([0] if is_open else []), *range(100, 150), *range(200, 250), *range(300, 350)}
    assert set(segops.accepted) == expected


def test_forks_under_load_lose_nothing_and_hang_nobody(make_async: Make, segops: Peer) -> None:
    # without syncs: of many processes one may wait for long for a disk to which others write
    client = make_async(
        api_url=segops.url, flush_interval=0.05, lock_timeout=60, durability="normal"
    )
    asyncio.run(track_all(client, 0))  # its thread is the sender before there are others
    tracked = 0

    async def main() -> None:
        nonlocal tracked
        assert (await client.flush(30)).ok
        is_over = False

        async def load() -> None:
            nonlocal tracked
            while not is_over:
                await track(client, 1_000_000 + tracked)
                tracked += 1

        tasks = [asyncio.ensure_future(load()) for _ in range(1)]
        for number in range(1, 21):
            await asyncio.sleep(0.002)
            child = in_child(lambda number=number: asyncio.run(track_all(client, number)))  # type: ignore[misc]
            assert await asyncio.to_thread(status_of, child) == 0
        is_over = True
        await asyncio.gather(*tasks)
        assert (await client.flush(30)).ok
        await client.shutdown()

    asyncio.run(main())
    assert tracked > 0
    assert segops.accepted == Counter([*range(21), *range(1_000_000, 1_000_000 + tracked)])


def test_what_a_child_makes_for_itself_is_not_made_where_its_loop_would_wait(
    make_async: Make, segops: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_async(api_url=segops.url)
    asyncio.run(track_all(client, 0))
    made_on: list[int] = []

    def delivery_of(*arguments: Any) -> Any:
        made_on.append(threading.get_ident())
        return wiring.delivery_of(*arguments)

    monkeypatch.setattr(per_process, "delivery_of", delivery_of)

    def work() -> None:
        asyncio.run(track_all(client, 1))
        assert len(made_on) == 1
        assert made_on != [threading.get_ident()]

    assert status_of(in_child(work)) == 0
    asyncio.run(client.shutdown())


def test_a_child_that_does_not_use_the_client_leaves_it_alone(
    make_async: Make, segops: Peer
) -> None:
    client = make_async(api_url=segops.url)
    asyncio.run(track_all(client, 0))

    def work() -> None:
        assert asyncio.run(client.shutdown()).ok

    assert status_of(in_child(work)) == 0
    assert asyncio.run(client.shutdown()).ok
    assert segops.accepted == {0: 1}
