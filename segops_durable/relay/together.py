"""What is received at once is committed at once: by the loop itself, as long as that is short.

To wake the thread that stores, and the loop again, takes as long as to commit a batch. So whatever
requests the loop has read in one turn are committed by the loop itself, in one transaction; one
that is alone, at once. Where the disk is slow, or another process holds the outbox, that thread
does it, and the loop serves.
"""

from __future__ import annotations

import asyncio
import copy
import time
from typing import TYPE_CHECKING

from segops_durable.errors import BusyOutboxError, QueueFullError, SegOpsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from segops_durable.outbox import Entry

    Store = Callable[[Sequence[Entry]], Sequence[SegOpsError | None]]
    Waiting = tuple[Entry, asyncio.Future[Exception | None]]

MOST_ROWS = 500
"""Events in one commit; those of one request are never divided."""
LONGEST_SECONDS = 0.01
"""A commit that takes longer is the last on the loop's thread, for a while."""
_LEAST_SECONDS_ELSEWHERE, _MOST_SECONDS_ELSEWHERE = 0.05, 3.2
"""For how long that is: a disk has its moments, and twice as long each time that it has another."""
_TIMES_ELSEWHERE = 4
"""At least so many times as long as the commit took: who holds the outbox for seconds would have
the loop serve nobody for all of them, one commit after the other."""


class Together:
    """Collects what the requests of a turn have to store.

    Args:
        store: Stores it, in one transaction; says how each has fared. It waits for nobody.
        store_elsewhere: Has one stored by another thread, and waits for whoever has the outbox
            locked, and for room if it should.
    """

    def __init__(self, store: Store, store_elsewhere: Callable[[Entry], Awaitable[object]]) -> None:
        self._store = store
        self._store_elsewhere = store_elsewhere
        self._waiting: list[Waiting] = []
        self._elsewhere_until = 0.0
        self._seconds_elsewhere = _LEAST_SECONDS_ELSEWHERE

    async def add(self, entry: Entry, *, is_alone: bool = False) -> None:
        """Store an entry; it is durable when this returns.

        Args:
            entry: What is to be stored.
            is_alone: Whether nobody else can come in this turn. Defaults to False.

        Raises:
            SegOpsError: It could not be stored, or it is unknown whether it was.
        """
        if time.monotonic() < self._elsewhere_until:
            await self._store_elsewhere(entry)
            return
        error = self._stored([entry])[0] if is_alone else await self._in_turn(entry)
        if isinstance(error, (BusyOutboxError, QueueFullError)):
            await self._store_elsewhere(entry)  # nothing was stored, and there it may wait
        elif error is not None:
            raise error

    async def _in_turn(self, entry: Entry) -> Exception | None:
        """Have an entry stored with those of the others; say how it has fared."""
        loop = asyncio.get_running_loop()
        fared: asyncio.Future[Exception | None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._commit)  # once all that are ready have had their turn
        self._waiting.append((entry, fared))
        return await fared

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        some: list[Waiting] = []
        rows = 0
        for each in waiting:
            if rows and rows + len(each[0].events) > MOST_ROWS:
                self._commit_some(some)
                some, rows = [], 0
            some.append(each)
            rows += len(each[0].events)
        self._commit_some(some)

    def _commit_some(self, some: Sequence[Waiting]) -> None:
        errors = self._stored([entry for entry, _ in some])
        for (_, fared), error in zip(some, errors, strict=True):
            if not fared.done():  # its task was not cancelled
                fared.set_result(error)

    def _stored(self, entries: Sequence[Entry]) -> Sequence[Exception | None]:
        """Store entries in one transaction; say how each has fared."""
        start = time.monotonic()
        try:
            return self._store(entries)
        except Exception as failure:  # noqa: BLE001 - it is for those who wait, whatever it is
            return [copy.copy(failure) for _ in entries]
        finally:
            self._heed(start, time.monotonic())

    def _heed(self, start: float, end: float) -> None:
        """Have others store for a while after a commit that was slow."""
        if end - start <= LONGEST_SECONDS:
            self._seconds_elsewhere = _LEAST_SECONDS_ELSEWHERE
            return
        seconds = max(self._seconds_elsewhere, _TIMES_ELSEWHERE * (end - start))
        self._elsewhere_until = end + seconds
        self._seconds_elsewhere = min(2 * self._seconds_elsewhere, _MOST_SECONDS_ELSEWHERE)
