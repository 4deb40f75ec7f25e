"""What a device sends over: an adapter for `requests` that answers in process.

What is above it is as ever: the session, its request, and how its answer is read.
"""

from __future__ import annotations

import hashlib
import io
import json
from email.utils import formatdate
from typing import TYPE_CHECKING, NamedTuple

import requests
import requests.adapters
import urllib3

from fleet_simulation.loop import EPOCH

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from fleet_simulation.loop import Loop, Turn

SHORTEST, LONGEST = 0.05, 0.1
"""Seconds that a request is on its way, and its answer likewise: as over a mobile network."""


class Request(NamedTuple):
    """A request on its way.

    Attributes:
        at: When SegOps has it.
        device: Who sends it.
        sent_at: When it left.
        back: Seconds that the answer will take.
        key: Its ``Idempotency-Key``.
        digest: Of its body.
        events: The numbers of its events.
    """

    at: float
    device: int
    sent_at: float
    back: float
    key: str
    digest: bytes
    events: tuple[int, ...]


class Answer(NamedTuple):
    """An answer on its way.

    Attributes:
        at: When the device has it.
        device: Whose it is.
        status: Of HTTP.
        retry_after: Seconds to wait, where it asks for that.
        queued: Events that were accepted.
    """

    at: float
    device: int
    status: int
    retry_after: int | None
    queued: int


class Wire(requests.adapters.HTTPAdapter):
    """The way of one device to SegOps and back.

    Args:
        device: The number of the device.
        loop: Whose turn it is.
        turn: Says whose course it is that waits for an answer.
        chance: How long the way takes is drawn from it.
        outage_ends_at: Before that no connection comes about.
        send_off: Called with each request.

    Attributes:
        accepted: How many events were accepted, as far as the device has heard.
    """

    def __init__(
        self,
        device: int,
        loop: Loop,
        turn: Callable[[], Turn],
        *,
        chance: random.Random,
        outage_ends_at: float,
        send_off: Callable[[Request, Turn], None],
    ) -> None:
        super().__init__()
        self._device = device
        self._loop = loop
        self._turn = turn
        self._chance = chance
        self._outage_ends_at = outage_ends_at
        self._send_off = send_off
        self.accepted = 0

    def send(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> requests.Response:
        """Have a request leave, and wait for its answer.

        Raises:
            requests.exceptions.ConnectionError: It is the time of the outage.
        """
        there, back = (self._chance.uniform(SHORTEST, LONGEST) for _ in range(2))
        if self._loop.now < self._outage_ends_at:
            self._loop.sleep(there + back)
            reason = urllib3.exceptions.NewConnectionError(None, "the outage")  # type: ignore[arg-type]  # as there is no connection
            raise requests.exceptions.ConnectionError(
                urllib3.exceptions.MaxRetryError(None, str(request.url), reason)  # type: ignore[arg-type]  # nor a pool
            )
        sent_at, body = self._loop.now, bytes(request.body or b"")  # type: ignore[arg-type]  # it is bytes, as the package prepares it
        events = json.loads(body)["events"]
        leaving = Request(
            at=sent_at + there,
            device=self._device,
            sent_at=sent_at,
            back=back,
            key=str(request.headers.get("Idempotency-Key")),
            digest=hashlib.sha256(body).digest()[:8],
            events=tuple(each["payload"]["number"] for each in events),
        )
        self._send_off(leaving, self._turn())
        answer: Answer = self._loop.hand_over()
        self.accepted += answer.queued
        return self._response(request, answer, len(events))

    def _response(
        self, request: requests.PreparedRequest, answer: Answer, events: int
    ) -> requests.Response:
        """What an answer is in HTTP."""
        headers = {
            "Content-Type": "application/json",
            "Date": formatdate(EPOCH + self._loop.now, usegmt=True),
        }
        if answer.retry_after is not None:
            headers["Retry-After"] = str(answer.retry_after)
        is_accepted = answer.status < requests.codes.bad_request
        document = (
            {"queued": answer.queued, "skipped": events - answer.queued}
            if is_accepted
            else {"detail": "Request was throttled."}
        )
        body = io.BytesIO(json.dumps(document).encode())
        found = urllib3.HTTPResponse(body, headers, answer.status, preload_content=False)
        response: requests.Response = self.build_response(request, found)
        return response
