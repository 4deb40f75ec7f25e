"""A relay in a process of its own, and callers that post to it until they are told to end."""

from __future__ import annotations

import asyncio
import threading
import uuid
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import requests
from _lifetime import end_with_the_tool

from proof.events import make_event
from proof.life import BATCH
from segops_durable.api import Rate
from segops_durable.client import Options
from segops_durable.outbox import Receipts
from segops_durable.relay import Relay, RelaySettings
from segops_durable.relay.client import RelayClient

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk_proof"
MUTANTS = ("answer-first", "no-receipts")
"""Relays broken on purpose: one answers before the commit, one forgets what it has answered."""
_PATH = "/api/ingestion/track/batch/"
_ACCEPTED = 202
_SECONDS_TO_ANSWER = 60.0
_SECONDS_BETWEEN = 0.02
_SECONDS_LATE = 0.02
_EVERY = 10
"""So many batches are followed by one whose answer is taken for one that was not heard."""


@dataclass(frozen=True)
class RelayLife:
    """What the process of a relay needs to know.

    Attributes:
        api_url: Of the server.
        queue_path: Its outbox.
        listen: Where it listens.
        mutant: See `MUTANTS`; empty for the relay as it is.
    """

    api_url: str
    queue_path: Path
    listen: str
    mutant: str = ""


def live(life: RelayLife) -> None:
    """Serve until somebody kills this process."""
    end_with_the_tool()
    # whom a server refuses every so many requests has no share to learn, and would hardly send
    Rate.refuse = lambda *_given: None  # type: ignore[method-assign]  # as is meant
    if life.mutant == "answer-first":
        RelayClient.accept = _accept_later  # type: ignore[method-assign]  # as is meant
    elif life.mutant == "no-receipts":
        Receipts.noting = lambda *_given: lambda _writer: None  # type: ignore[method-assign]  # likewise
    options = Options(
        api_url=life.api_url,
        api_key=KEY,
        queue_path=life.queue_path,
        batch_size=BATCH,
        flush_interval=0.01,
        on_error=lambda _error: None,
    )
    Relay(options, RelaySettings(listen=life.listen)).run()


_accept = RelayClient.accept
_later: set[asyncio.Task[None]] = set()


async def _accept_later(self: RelayClient, *given: Any, **more: Any) -> None:  # noqa: ANN401 - as they are given
    async def accept() -> None:
        await asyncio.sleep(_SECONDS_LATE)
        await _accept(self, *given, **more)

    task = asyncio.get_running_loop().create_task(accept())
    _later.add(task)
    task.add_done_callback(_later.discard)


class Caller:
    """Posts batches, each again under its key until it is answered; keeps what was.

    Args:
        url: Of the relay.
        number: Which caller.
    """

    def __init__(self, url: str, number: int) -> None:
        self._url = url + _PATH
        self._number = number
        self._is_over = threading.Event()
        self.acknowledged: list[str] = []
        self.repeated = 0
        self.refused = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        headers = {"Authorization": f"ApiKey {KEY}"}
        with requests.Session() as session:
            session.trust_env = False
            session.headers.update(headers)
            for number in count():
                if self._is_over.is_set():
                    return
                names = [
                    f"{self._number}-0-{self._number}-{number * BATCH + n}" for n in range(BATCH)
                ]
                if not self._post(session, names, number):
                    return
                self.acknowledged += names

    def _post(self, session: requests.Session, names: list[str], number: int) -> bool:
        """Post until it is answered; say whether it was. Some are posted once more after that."""
        document = {"events": [make_event(each) for each in names]}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        answers = 2 if number % _EVERY == 0 else 1
        for attempt in count():
            try:
                answer = session.post(
                    self._url, json=document, headers=headers, timeout=_SECONDS_TO_ANSWER
                )
                if answer.status_code == _ACCEPTED:
                    answers -= 1
                    if not answers:
                        return True
                    continue
                self.refused += 1
            except requests.RequestException:
                self.repeated += 1
            if self._is_over.wait(_SECONDS_BETWEEN) and attempt:
                return False
        return False

    def end(self) -> None:
        """End after the batch at hand: it is not known whether one that failed is stored."""
        self._is_over.set()
        self._thread.join()
