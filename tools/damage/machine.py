"""A client whose SegOps is an adapter in memory: a trial takes milliseconds."""

from __future__ import annotations

import io
import json
import random
from functools import cache
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import BaseAdapter

from segops_durable import Event, SegOpsClient, SegOpsError, UserContext

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://segops.invalid"
USERS = ("ann", "bob", "eve")
BATCH_SIZE = 20
_REFUSED, _LARGE = 61, 23  # every so many events is one that SegOps refuses, or a large one
_LARGE_BYTES = (3000, 5000, 9000)


class Server(BaseAdapter):
    """Takes everything but what it shall refuse, and notes as whom it came.

    Attributes:
        is_up: Whether it takes anything.
        sent: The events that it took, by number, with the user that they came as.
        unanswered: Numbers of the events that it has seen and not taken.
    """

    def __init__(self, *, is_up: bool = True) -> None:
        super().__init__()
        self.is_up = is_up
        self.sent: list[tuple[int, str, dict[str, Any]]] = []
        self.unanswered: set[int] = set()

    def send(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> requests.Response:
        """Answer a request."""
        body = json.loads(request.body or b"{}")
        if "events" not in body:
            uid = body.get("user_id") or body.get("anonymous_id")
            session = {
                "token": uid.encode().hex(),
                "uid": uid,
                "expires_at": "2099-01-01T00:00:00Z",
            }
            return _response(request, 200, session)
        events = body["events"]
        numbers = [event["payload"]["n"] for event in events]
        if not self.is_up:
            self.unanswered.update(numbers)
            return _response(request, 503, {"detail": "later"})
        if any(event["payload"].get("is_bad") for event in events):
            return _response(request, 400, {"detail": "no"})
        token = str(request.headers["Authorization"]).split()[-1]
        uid = bytes.fromhex(token).decode()
        self.sent += [(number, uid, event) for number, event in zip(numbers, events, strict=True)]
        return _response(request, 202, {"queued": len(events), "skipped": 0})

    def close(self) -> None:
        """Nothing is open."""


def _response(
    request: requests.PreparedRequest, status: int, document: object
) -> requests.Response:
    response = requests.Response()
    response.request, response.url = request, str(request.url)
    response.status_code = status
    response.headers["Content-Type"] = "application/json"
    response.raw = io.BytesIO(json.dumps(document).encode())
    return response


class Machine:
    """A client on a file, whose user changes as it likes."""

    def __init__(self, path: Path, *, is_up: bool = True) -> None:
        self.server = Server(is_up=is_up)
        self.told: list[SegOpsError] = []
        self.user = USERS[0]
        session = requests.Session()
        session.mount("https://", self.server)
        self.client = SegOpsClient(
            URL,
            "pk_fuzz",
            queue_path=path,
            http_session=session,
            on_error=self.told.append,
            flush_interval=60,
            max_retries=0,
            batch_size=BATCH_SIZE,
            get_user=lambda: UserContext(user_id=self.user),
            user_context_for=UserContext,
        )

    def track(self, event: Event) -> None:
        """Track an event as its user."""
        self.user = str(event.user_id)
        self.client.track(event)


@cache  # it is asked for more often than anything else
def event_of(number: int) -> Event:
    """The event of a number: mostly small, some large, some that SegOps refuses."""
    chance = random.Random(number)  # noqa: S311 - events that can be repeated
    size = chance.choice(_LARGE_BYTES) if number % _LARGE == 0 else chance.randrange(200)
    payload = {"n": number, "x": f"{chance.getrandbits(64):x}" * (1 + size // 16)}
    if number % _REFUSED == 0:
        payload["is_bad"] = True
    time = "2026-01-31T12:00:00+00:00"
    return Event(chance.choice(USERS), "fuzzed", occurred_at=time, payload=payload)
