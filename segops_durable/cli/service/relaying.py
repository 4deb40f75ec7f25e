"""A relay as a service: what it is asked for by signals, and whom it tells how it is."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from segops_durable.cli.service.activation import activated
from segops_durable.cli.service.logs import note
from segops_durable.cli.service.pages import pages_of
from segops_durable.cli.service.signals import ENDING, RELOADING
from segops_durable.cli.service.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segops_durable.cli.service.manager import Manager
    from segops_durable.cli.service.reloading import Reloading
    from segops_durable.delivery import FlushResult
    from segops_durable.relay import Relay


class RelayService:
    """Runs a relay.

    Args:
        relay: The relay.
        manager: Who is told how it goes.
        reloading: What a SIGHUP does.
        on_ready: Called with the URL when it listens.
        early: The SIGHUPs that have come already, of `hear_reloads`. Defaults to none.
    """

    def __init__(
        self,
        relay: Relay,
        manager: Manager,
        reloading: Reloading,
        on_ready: Callable[[str], object],
        early: Sequence[int] = (),
    ) -> None:
        self._relay = relay
        self._manager = manager
        self._reloading = reloading
        self._on_ready = on_ready
        self._early = early
        self._is_over = False
        self._reloads = 0

    def run(self) -> FlushResult:
        """Serve until SIGINT or SIGTERM; then make one last effort to send.

        Raises:
            SegOpsError: The outbox cannot be opened, or a socket that was handed over is none.
            OSError: It cannot listen there.
        """
        listeners = activated()
        for each in RELOADING:  # until there is a loop: the default is to end
            signal.signal(each, self._note_reload)
        result = self._relay.run(self._begin, pages_of(self._relay), listeners)
        note("stop", f"stopped: {result.pending:,} wait", waiting=result.pending)
        return result

    def _begin(self, url: str) -> None:
        """See to signals and the manager from now on; in the relay's own loop."""
        self._loop = asyncio.get_running_loop()
        self._is_asked = asyncio.Event()
        client = self._relay.client
        self._watch = Watch(client.inner, self._manager, lambda: client.trouble)
        with suppress(NotImplementedError, RuntimeError, ValueError):  # as of the relay itself
            for each in ENDING:
                self._loop.add_signal_handler(each, self._end)
            for each in RELOADING:
                self._loop.add_signal_handler(each, partial(self._note_reload, each, None))
        self._tasks = [self._loop.create_task(self._look()), self._loop.create_task(self._reload())]
        note("start", f"takes events on {url}", url=url, outbox=str(client.path))
        self._on_ready(url)
        self._manager.ready(self._watch.health().status)
        if self._reloads or self._early:
            self._is_asked.set()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._manager.stopping()
            note("stopping", "takes no more requests")
        self._relay.end()

    def _note_reload(self, _number: int, _frame: object) -> None:
        self._reloads += 1
        if hasattr(self, "_is_asked"):
            self._is_asked.set()

    async def _look(self) -> None:
        while True:
            await asyncio.to_thread(self._watch.look)
            await asyncio.sleep(self._watch.interval)

    async def _reload(self) -> None:
        while True:
            await self._is_asked.wait()
            self._is_asked.clear()
            self._manager.reloading()
            await asyncio.to_thread(self._reloading.run, self._use_key)
            health = await asyncio.to_thread(self._watch.health)
            self._manager.ready(health.status)

    def _use_key(self, api_key: str) -> None:
        """Use a key, on a thread beside the loop's."""
        done = self._relay.client.set_api_key(api_key)
        asyncio.run_coroutine_threadsafe(done, self._loop).result()
