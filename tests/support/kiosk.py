"""A device that several people use, one after the other, and their backend."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from segops_durable import Event, SegOpsClient, UserContext, sign_user_id
from segops_durable.sandbox import HMAC_SECRET
from support.sessions import SESSION

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox


class Kiosk:
    """Says who is logged in, and signs for others, unless it is told not to.

    Attributes:
        user: Who is logged in; None for a visitor.
        withheld: For whom the backend does not sign.
        asked: For whom it was asked to.
        ahead: Seconds that the backend's clock is ahead of this machine's.
    """

    def __init__(self) -> None:
        self.user: str | None = None
        self.withheld: set[str] = set()
        self.asked: list[str] = []
        self.ahead = 0.0

    def get_user(self) -> UserContext | None:
        return None if self.user is None else self._signed(self.user)

    def user_context_for(self, user_id: str) -> UserContext | None:
        self.asked.append(user_id)
        return None if user_id in self.withheld else self._signed(user_id)

    def _signed(self, user_id: str) -> UserContext:
        now = int(time.time() + self.ahead)
        return UserContext(**sign_user_id(HMAC_SECRET, user_id, now))


def event(by: str | None, number: int = 0) -> Event:
    """An event that remembers who was there."""
    return Event("someone", "page_viewed", payload={"by": by, "n": number})


def track(client: SegOpsClient, by: str | None) -> None:
    client.track(event(by))


def attributed(sandbox: Sandbox) -> list[tuple[str | None, str]]:
    return [(row["event"]["payload"]["by"], row["user_id"]) for row in sandbox.events()]


def mints(sandbox: Sandbox) -> int:
    return sum(1 for request in sandbox.requests() if request["path"] == SESSION)


def events(by: str | None, count: int) -> list[Any]:
    return [event(by, number) for number in range(count)]
