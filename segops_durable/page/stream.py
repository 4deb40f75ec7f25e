"""The stream of a page: server-sent events, for as long as somebody takes them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from segops_durable.page.feed import Feed, Viewer

STREAM_SECONDS = 120.0
"""Then a stream ends, and the page asks for another one: whoever is gone without a word asks for
none."""

SEND_SECONDS = 10.0
"""For so long somebody may take nothing."""

_BEAT_SECONDS = 5.0
_BEAT = b": here\n\n"


class Stream:
    """An answer that goes on.

    Args:
        feed: What is told.
        viewer: Whoever is told; they have joined.
        headers: The headers of the answer.
        hang_up: Called with a request's scope, to reset a connection that takes nothing.
    """

    def __init__(
        self,
        feed: Feed,
        viewer: Viewer,
        headers: Mapping[str, str],
        hang_up: Callable[[Scope], object],
    ) -> None:
        self._feed = feed
        self._viewer = viewer
        self._headers = [
            (name.lower().encode(), value.encode())
            for name, value in {**headers, "Content-Type": "text/event-stream"}.items()
        ]
        self._hang_up = hang_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell, until it is over, or the other end is gone or takes nothing."""
        leaving = asyncio.create_task(_wait_for_leave(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            await self._tell(send, leaving)
            await _in_time(send({"type": "http.response.body", "body": b""}))
        except asyncio.TimeoutError:
            self._hang_up(scope)
        finally:
            leaving.cancel()
            self._feed.leave(self._viewer)

    async def _tell(self, send: Send, leaving: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + STREAM_SECONDS
        frame: bytes | None = _BEAT  # the headers leave with it
        while frame is not None and not leaving.done() and loop.time() < ends_at:
            await _in_time(send({"type": "http.response.body", "body": frame, "more_body": True}))
            frame = await self._next(leaving)

    async def _next(self, leaving: asyncio.Task[None]) -> bytes | None:
        """The next frame, or a sign of life; None for the end."""
        coming = asyncio.create_task(self._viewer.next())
        try:
            await asyncio.wait(
                {coming, leaving}, timeout=_BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if coming.done():
                return coming.result()
            return None if leaving.done() else _BEAT
        finally:
            coming.cancel()


async def _wait_for_leave(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _in_time(sending: Awaitable[None]) -> None:
    await asyncio.wait_for(sending, SEND_SECONDS)
