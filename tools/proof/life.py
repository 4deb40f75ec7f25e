"""A process that tracks until it is killed, and notes what was acknowledged."""

from __future__ import annotations

import io
import json
import os
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from proof.events import make_event
from segops_durable import SegOpsClient, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BATCH = 20
MUTANTS = ("ack-first", "remove-first")
"""Clients broken on purpose: one notes an event before it tracks it; with the other a batch is
accepted, and so removed, before it is sent."""
_BURST = 30
_SECONDS_BETWEEN = 0.001
_SECONDS_OF_THE_FORGER = 0.02


@dataclass(frozen=True)
class Life:
    """What a process needs to know.

    Attributes:
        api_url: Of the server.
        home: The directory with the outbox, and the notes.
        name: The beginning of the names of its events.
        threads: How many track.
        mutant: See `MUTANTS`; empty for the client as it is.
    """

    api_url: str
    home: Path
    name: str
    threads: int = 1
    mutant: str = ""

    @property
    def queue_path(self) -> Path:
        """The outbox, which the lives of one place share."""
        return self.home / "queue" / "outbox.db"

    @property
    def notes(self) -> Path:
        """Names of what was acknowledged, a line each; a kill leaves them as they are."""
        return self.home / "acknowledged"

    @property
    def troubles(self) -> Path:
        """What was raised and should not have been."""
        return self.home / "troubles"


class ForgingSession(requests.Session):
    """Answers a batch as SegOps would, and sends it only afterwards: a mutant."""

    def send(
        self,
        request: requests.PreparedRequest,
        **_options: Any,  # noqa: ANN401 - as requests has it
    ) -> requests.Response:
        """Pretend; another thread sends it a little later."""
        send = super().send
        copy = request.copy()  # which the client does not close when it has had the answer
        timer = threading.Timer(_SECONDS_OF_THE_FORGER, _in_the_end, (send, copy))
        timer.daemon = True
        timer.start()
        body = request.body if isinstance(request.body, bytes) else b""
        text = json.dumps({"queued": body.count(b'"user_id"'), "skipped": 0}).encode()
        fields = {"Content-Type": "application/json", "Content-Length": str(len(text))}
        raw = HTTPResponse(io.BytesIO(text), headers=fields, status=202, preload_content=False)
        return HTTPAdapter().build_response(request, raw)


def _in_the_end(
    send: Callable[[requests.PreparedRequest], requests.Response], request: requests.PreparedRequest
) -> None:
    with suppress(requests.RequestException):
        send(request)


def open_client(life: Life, **options: Any) -> SegOpsClient:  # noqa: ANN401 - any of the client's
    """The client of a life."""
    session = ForgingSession() if life.mutant == "remove-first" else None
    chosen: dict[str, Any] = {"flush_interval": 0.01, "http_session": session, **options}
    return SegOpsClient(
        life.api_url,
        "sk_proof",
        queue_path=life.queue_path,
        batch_size=BATCH,
        on_error=lambda _error: None,
        **chosen,
    )


def live(life: Life) -> None:
    """Track until somebody kills this process."""
    try:
        client = open_client(life)
        for thread in range(1, life.threads):
            threading.Thread(target=_produce, args=(client, life, thread), daemon=True).start()
        _produce(client, life, 0)
    except BaseException:
        with life.troubles.open("a", encoding="utf-8") as file:
            file.write(traceback.format_exc() + "\n")
        raise


def _produce(client: SegOpsClient, life: Life, thread: int) -> None:
    pause = threading.Event()
    notes = os.open(life.notes, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    for number in count():
        name = f"{life.name}-{thread}-{number}"
        track_and_note(client, name, notes, is_hasty=life.mutant == "ack-first")
        if number > _BURST:
            pause.wait(_SECONDS_BETWEEN)


def track_and_note(client: SegOpsClient, name: str, notes: int, *, is_hasty: bool = False) -> None:
    """Track an event, and note it once it is acknowledged; before, if a mutant is to be seen."""
    note: Callable[[], object] = lambda: os.write(notes, f"{name}\n".encode())  # noqa: E731
    if is_hasty:
        note()
    try:
        client.track(make_event(name))
    except StorageError:
        return  # it says that it may not be stored
    if not is_hasty:
        note()
