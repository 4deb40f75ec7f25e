"""Asking SegOps for a session, while it can be reached; a caller does not wait long for it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from segops_durable._version import __version__
from segops_durable.api import SESSION_PATH, Answer, Exchange, HeaderAuth

if TYPE_CHECKING:
    from segops_durable.identity import UserContext
    from segops_durable.relay.client import RelayClient

_MOST_SECONDS = 3.0
"""Official SDKs wait for ten, and have an event to send then."""
_SECONDS_UNTRIED = 10.0
"""After no answer nobody is asked for so long: callers would wait one after the other."""


class Upstream:
    """Asks over a connection of its own, one at a time.

    Args:
        client: Has the address and the key.
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
        self._turn = asyncio.Lock()
        self._untried_until = 0.0

    async def ask(self, context: UserContext) -> Answer | None:
        """What SegOps says to a request for a session; None while it cannot be reached."""
        async with self._turn:
            if time.monotonic() < self._untried_until or not self._client.may_ask:
                return None
            answer = await asyncio.to_thread(self._post, context)
            if answer is None:
                self._untried_until = time.monotonic() + _SECONDS_UNTRIED
            return answer

    def _post(self, context: UserContext) -> Answer | None:
        fields = {name: value for name, value in vars(context).items() if value is not None}
        auth = HeaderAuth("ApiKey", self._client.options.api_key)
        found = self._exchange.post(SESSION_PATH, json.dumps(fields).encode(), auth)
        return found if isinstance(found, Answer) else None

    def close(self) -> None:
        """Close the connection."""
        self._exchange.close()
