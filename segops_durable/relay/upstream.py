"""Asking SegOps for a session, while it can be reached; a caller does not wait long for it.

A request for a session is a call of the account's plan as any other: it has its turn among those
of the sender, and what it is answered teaches the same rate. Somebody waits for it, so it goes
before a backlog; but of two turns the backlog has one.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
from typing import TYPE_CHECKING

from segops_durable._version import __version__
from segops_durable.api import SESSION_PATH, Answer, Exchange, HeaderAuth

if TYPE_CHECKING:
    from segops_durable.identity import UserContext
    from segops_durable.relay.client import RelayClient

_MOST_SECONDS = 3.0
"""For a turn, and again for the answer. Official SDKs wait for ten, and have an event to send
then."""
_TURN_SECONDS = 3.0
"""For so long somebody waits while SegOps is slow to answer those before."""
_SECONDS_UNTRIED = 10.0
"""After no answer nobody is asked for so long: callers would wait one after the other."""


class Upstream:
    """Asks over a connection of its own, one at a time.

    Args:
        client: Has the address and the key, and the turns.
    """

    def __init__(self, client: RelayClient) -> None:
        self._client = client
        options = client.options
        self._exchange = Exchange(
            options.api_url,
            timeout=min(options.timeout, _MOST_SECONDS),
            user_agent=f"segops-durable/{__version__} relay",
            session=options.http_session,
        )
        self._one = asyncio.Lock()
        self._untried_until = -math.inf
        self._over = threading.Event()

    async def ask(self, context: UserContext) -> Answer | None:
        """What SegOps says to a request for a session.

        Returns:
            None while it cannot be reached, is slow, or has no turn for this soon.
        """
        until = self._client.clock.monotonic() + _MOST_SECONDS
        try:
            await asyncio.wait_for(self._one.acquire(), _TURN_SECONDS)
        except asyncio.TimeoutError:
            return None
        try:
            if not self._may_ask:
                return None
            return await asyncio.to_thread(self._ask, context, until)
        finally:
            self._one.release()

    @property
    def _may_ask(self) -> bool:
        is_untried = self._client.clock.monotonic() < self._untried_until
        return not is_untried and self._client.may_ask and not self._over.is_set()

    def _ask(self, context: UserContext, until: float) -> Answer | None:
        clock, pacer = self._client.clock, self._client.pacer
        at = None if pacer is None else pacer.claim(until)
        if pacer is None or at is None:
            return None
        if clock.sleep(self._over, max(0.0, at - clock.monotonic())) or not self._may_ask:
            return None
        answer = self._post(context)
        if answer is None:
            self._untried_until = clock.monotonic() + _SECONDS_UNTRIED
        else:
            pacer.heed(answer, at, holds_all=True)
        return answer

    def _post(self, context: UserContext) -> Answer | None:
        fields = {name: value for name, value in vars(context).items() if value is not None}
        auth = HeaderAuth("ApiKey", self._client.options.api_key)
        found = self._exchange.post(SESSION_PATH, json.dumps(fields).encode(), auth)
        return found if isinstance(found, Answer) else None

    def end(self) -> None:
        """Ask no more; whoever waits for a turn waits no longer."""
        self._over.set()

    def close(self) -> None:
        """Close the connection."""
        self._exchange.close()
