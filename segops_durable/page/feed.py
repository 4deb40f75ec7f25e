"""Looks while somebody looks, and tells all who do the same.

However many they are, there is one look a second; where nobody looks there is none. Who does not
take what is sent is not waited for, and is let go.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from segops_durable.page.frames import change, trouble, whole

if TYPE_CHECKING:
    from segops_durable.page.glance import Glance, View

TICK_SECONDS = 1.0
MOST_VIEWERS = 16
LINGER_SECONDS = 5.0
"""For so long it is looked on after the last has left: a page loaded anew misses nothing."""

_MOST_BEHIND = 8
"""Frames that somebody may be behind, before they are let go."""


class CrowdedError(Exception):
    """As many look already as may."""


class Viewer:
    """Somebody who looks.

    Args:
        is_trusted: Whether they see events, too.
    """

    def __init__(self, *, is_trusted: bool) -> None:
        self.is_trusted = is_trusted
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_BEHIND)
        self.is_over: bool = False

    def give(self, frame: bytes) -> None:
        """Have a frame sent; one who is too far behind is let go."""
        if self.is_over:
            return
        try:
            self._frames.put_nowait(frame)
        except asyncio.QueueFull:
            self.let_go()

    def let_go(self) -> None:
        """Have the stream end: what was not sent is not sent any more."""
        self.is_over = True
        while not self._frames.empty():
            self._frames.get_nowait()
        self._frames.put_nowait(None)

    async def next(self) -> bytes | None:
        """Wait for the next frame; None for the end."""
        return await self._frames.get()


class Feed:
    """Who looks, and what they are told. For one event loop.

    Args:
        view: Says how things stand.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._viewers: set[Viewer] = set()
        self._glance: Glance | None = None  # the last one; None where nothing is known
        self._looked_at = self._wanted_at = 0.0
        self._looking: asyncio.Task[None] | None = None
        self._has_begun = False
        self._is_over = False

    def join(self, viewer: Viewer) -> None:
        """Have somebody told, beginning with all that is known.

        Raises:
            CrowdedError: Too many look already, or the server ends.
        """
        if self._is_over or len(self._viewers) >= MOST_VIEWERS:
            raise CrowdedError
        self._viewers.add(viewer)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look_on())
        elif self._glance is not None:
            viewer.give(whole(self._glance, is_trusted=viewer.is_trusted))

    def leave(self, viewer: Viewer) -> None:
        """Tell somebody no more."""
        self._viewers.discard(viewer)

    def end(self) -> None:
        """End all streams, and begin none: the server ends. For the loop's own thread."""
        self._is_over = True
        for each in self._viewers:
            each.let_go()

    async def _look_on(self) -> None:
        """Look once a second, until nobody does."""
        while self._viewers and not self._is_over:  # somebody may have come as it ended
            self._glance, self._has_begun = None, False
            try:
                while self._is_wanted():
                    await self._wait_for_turn()
                    self._tell(await self._look())
            finally:
                with suppress(Exception):  # nobody is there to be told
                    await asyncio.to_thread(self._view.end)

    def _is_wanted(self) -> bool:
        """Whether somebody looks, or has done so a moment ago."""
        if self._viewers:
            self._wanted_at = time.monotonic()
        is_wanted = bool(self._viewers) or time.monotonic() - self._wanted_at < LINGER_SECONDS
        return is_wanted and not self._is_over

    async def _wait_for_turn(self) -> None:
        """Let a second pass since the last look, also since one for somebody who has left."""
        left = self._looked_at + TICK_SECONDS - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)
        self._looked_at = time.monotonic()

    async def _look(self) -> Glance | Exception:
        try:
            if not self._has_begun:
                await asyncio.to_thread(self._view.begin)
                self._has_begun = True
            return await asyncio.to_thread(self._view.look)
        except Exception as error:  # noqa: BLE001 - it is shown, and the next look may succeed
            return error

    def _tell(self, found: Glance | Exception) -> None:
        """Tell all of them; each form of a frame is encoded once, however many get it."""
        if isinstance(found, Exception):
            frame = trouble(found)
            self._glance = None  # whoever has seen this sees all anew
            for viewer in self._viewers:
                viewer.give(frame)
            return
        before, self._glance = self._glance, found
        if before is not None and before.epoch != found.epoch:
            before = None
        frames: dict[bool, bytes] = {}
        for viewer in self._viewers:
            kind = viewer.is_trusted
            if kind not in frames:
                frames[kind] = (
                    whole(found, is_trusted=kind)
                    if before is None
                    else change(found, before, is_trusted=kind)
                )
            viewer.give(frames[kind])
