"""Requests that come at once share a commit; and a slow one does not keep the loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from segops_durable.errors import BusyOutboxError, QueueFullError, SegOpsError, StorageError
from segops_durable.outbox import Entry
from segops_durable.relay import together
from segops_durable.relay.together import Together

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.one_python


class Disk:
    """Stores entries of whom nothing else is known than how many events they have."""

    def __init__(self, error: Exception | None = None, each: SegOpsError | None = None) -> None:
        self.commits: list[list[int]] = []
        self.elsewhere: list[int] = []
        self.error = error
        self.each = each
        self.seconds = 0.0

    def store(self, entries: Sequence[Entry]) -> Sequence[SegOpsError | None]:
        self.commits.append([len(entry.events) for entry in entries])
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            pass
        if self.error is not None:
            raise self.error
        return [self.each] * len(entries)

    async def store_elsewhere(self, entry: Entry) -> None:
        self.elsewhere.append(len(entry.events))


def entry(events: int) -> Entry:
    return Entry([b"{}"] * events, "", [], None)


def add_all(disk: Disk, *sizes: int) -> list[BaseException | None]:
    async def run() -> list[BaseException | None]:
        both = Together(disk.store, disk.store_elsewhere)
        added = [both.add(entry(size)) for size in sizes]
        return await asyncio.gather(*added, return_exceptions=True)

    return asyncio.run(run())


def test_requests_of_one_turn_share_a_commit_and_none_is_divided() -> None:
    disk = Disk()
    assert add_all(disk, 1, 2, 3) == [None] * 3
    assert disk.commits == [[1, 2, 3]]
    disk = Disk()
    add_all(disk, 300, 300, 200, 600, 1)
    assert disk.commits == [[300], [300, 200], [600], [1]]


@pytest.mark.parametrize("error", [StorageError("no", path="x"), ValueError("whatever")])
def test_each_hears_of_a_commit_that_failed_with_an_error_of_its_own(error: Exception) -> None:
    found = add_all(Disk(error), 1, 2)
    assert [type(each) for each in found] == [type(error)] * 2
    assert found[0] is not found[1]


def test_one_for_whom_the_outbox_is_locked_waits_elsewhere() -> None:
    disk = Disk(BusyOutboxError("locked", path="x", pid=None, is_stopped=False))
    assert add_all(disk, 1, 2) == [None, None]
    assert disk.elsewhere == [1, 2]


def test_one_for_whom_there_is_no_room_waits_elsewhere() -> None:
    disk = Disk(each=QueueFullError("full", path="x"))
    assert add_all(disk, 1, 2) == [None, None]
    assert disk.elsewhere == [1, 2]


def test_a_slow_commit_is_the_last_on_the_loop_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "LONGEST_SECONDS", 0.001)
    disk = Disk()
    disk.seconds = 0.01

    async def run() -> None:
        both = Together(disk.store, disk.store_elsewhere)
        for _ in range(3):
            await both.add(entry(1))

    asyncio.run(run())
    assert (disk.commits, disk.elsewhere) == ([[1]], [1, 1])


def test_one_that_is_alone_is_stored_before_the_loop_has_another_turn() -> None:
    disk = Disk()
    added = Together(disk.store, disk.store_elsewhere).add(entry(1), is_alone=True)
    with pytest.raises(StopIteration):  # it waits for nothing
        added.send(None)
    assert disk.commits == [[1]]


def test_one_that_is_alone_fares_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "LONGEST_SECONDS", 0.001)

    def add_two(disk: Disk) -> None:
        async def run() -> None:
            both = Together(disk.store, disk.store_elsewhere)
            for _ in range(2):
                await both.add(entry(1), is_alone=True)

        asyncio.run(run())

    slow, full = Disk(), Disk(each=QueueFullError("full", path="x"))
    slow.seconds = 0.01
    add_two(slow)
    assert (slow.commits, slow.elsewhere) == ([[1]], [1])
    add_two(full)
    assert full.elsewhere == [1, 1]
    with pytest.raises(StorageError):
        add_two(Disk(StorageError("no", path="x")))


def test_one_that_took_for_long_is_the_last_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "_LEAST_SECONDS_ELSEWHERE", 0.0)
    monkeypatch.setattr(together, "_TIMES_ELSEWHERE", 10_000)
    disk = Disk()
    disk.seconds = 0.02  # as of one who waits for another process

    async def run() -> None:
        both = Together(disk.store, disk.store_elsewhere)
        for _ in range(3):
            await both.add(entry(1))

    asyncio.run(run())
    assert (disk.commits, disk.elsewhere) == ([[1]], [1, 1])


def test_one_that_stopped_waiting_does_no_harm_to_the_others() -> None:
    disk = Disk()

    async def run() -> None:
        both = Together(disk.store, disk.store_elsewhere)
        first, second = (asyncio.ensure_future(both.add(entry(size))) for size in (1, 2))
        await asyncio.sleep(0)
        first.cancel()
        await second

    asyncio.run(run())
    assert disk.commits == [[1, 2]]
