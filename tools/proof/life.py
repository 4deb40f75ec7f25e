"""A process that tracks until it is killed, and notes what was acknowledged."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from _lifetime import end_with_the_tool
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from proof.events import make_event
from segops_durable import SegOpsClient, StorageError
from segops_durable.api import Rate
from segops_durable.outbox import removal

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 20
MUTANTS = ("ack-first", "remove-first", "remove-more")
"""Clients broken on purpose: one notes an event before it tracks it; with another a batch is
accepted, and so removed, before it is sent; and one removes an event more than was sent."""
_BURST = 30
_SECONDS_OF_THE_FORGER = 0.02
_SECONDS_TO_OPEN_AGAIN = 0.05
_SECONDS_TO_END = 2.0
_DRAIN_SECONDS = 300.0
_SECONDS_OF_A_LOCK = 60.0
"""On a busy machine a process may keep the others for more than the usual five."""
_PATIENT_AT, _PATIENT_FACTOR, _EVERY = 3000, 20, 64


@dataclass(frozen=True)
class Life:
    """What a process needs to know.

    Attributes:
        api_url: Of the server.
        home: The directory with the outbox, and the notes.
        name: The beginning of the names of its events.
        threads: How many track.
        mutant: See `MUTANTS`; empty for the client as it is.
        max_in_flight: Batches that the client may send at once.
        seconds_between: Two events of a thread, once it has tracked a few.
        disk_error: The number of the error with which the disk fails at times; see
            `diskfault.c`. Defaults to 0: it never does, and a StorageError is a trouble.
    """

    api_url: str
    home: Path
    name: str
    threads: int = 1
    mutant: str = ""
    max_in_flight: int = 1
    seconds_between: float = 0.001
    disk_error: int = 0

    @property
    def queue_path(self) -> Path:
        """The outbox, which the lives of one place share."""
        return self.home / "queue" / "outbox.db"

    @property
    def notes(self) -> Path:
        """Names of what was acknowledged, a line each; a kill leaves them as they are."""
        return self.home / "acknowledged"

    @property
    def failing(self) -> Path:
        """While it is there, the disk fails."""
        return self.home / "failing"

    @property
    def ahead(self) -> Path:
        """Has the seconds by which the time of day is wrong; see `clockshift.c`."""
        return self.home / "ahead"

    @property
    def refusals(self) -> Path:
        """Has a byte for each call that raised, as the disk failed."""
        return self.home / "refusals"

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
    # whom a server refuses by chance has no share to learn, and would hardly send any more
    Rate.refuse = lambda *_given: None  # type: ignore[method-assign]  # as is meant
    if life.mutant == "remove-more":
        removal._DELETE_BETWEEN += " + 1"  # noqa: SLF001 - the last of what is removed
    chosen: dict[str, Any] = {
        "flush_interval": 0.01,
        "lock_timeout": _SECONDS_OF_A_LOCK,
        "http_session": session,
        **options,
    }
    if life.max_in_flight > 1:
        chosen["max_in_flight"] = life.max_in_flight
    return SegOpsClient(
        life.api_url,
        "sk_proof",
        queue_path=life.queue_path,
        batch_size=BATCH,
        on_error=lambda _error: None,
        **chosen,
    )


def drain(client: SegOpsClient) -> int:
    """Send what is left, once the pauses that the server asked for are over; give what is not."""
    deadline = time.monotonic() + _DRAIN_SECONDS
    while True:
        waiting = client.flush(timeout=_DRAIN_SECONDS).pending
        if not waiting or time.monotonic() > deadline:
            return waiting
        time.sleep(_SECONDS_TO_OPEN_AGAIN)


def live(life: Life) -> None:
    """Track until somebody kills this process; SIGTERM has it end as a program does."""
    end_with_the_tool()
    is_over = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: is_over.set())
    os.environ |= {
        "DISKFAULT_DIR": str(life.queue_path.parent),
        "DISKFAULT_FAIL": str(life.failing),
        "DISKFAULT_ERRNO": str(life.disk_error),
        "CLOCKSHIFT_FILE": str(life.ahead),
    }
    try:
        _live(life, is_over)
    except StorageError:
        if not life.disk_error:
            _note_trouble(life)
    except BaseException:
        _note_trouble(life)
        raise


def _live(life: Life, is_over: threading.Event) -> None:
    client = _open(life)
    while client is None:
        if is_over.wait(_SECONDS_TO_OPEN_AGAIN):
            return
        client = _open(life)
    threads = [
        threading.Thread(target=_produce, args=(client, life, number, is_over), daemon=True)
        for number in range(life.threads)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    client.shutdown(_SECONDS_TO_END)


def _open(life: Life) -> SegOpsClient | None:
    try:
        return open_client(life)
    except StorageError:
        if not life.disk_error:
            raise
        return None


def _note_trouble(life: Life) -> None:
    with life.troubles.open("a", encoding="utf-8") as file:
        file.write(traceback.format_exc() + "\n")


def _produce(client: SegOpsClient, life: Life, thread: int, is_over: threading.Event) -> None:
    notes = os.open(life.notes, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    pause = life.seconds_between
    try:
        for number in count():
            name = f"{life.name}-{thread}-{number}"
            track_and_note(client, name, notes, life)
            if number % _EVERY == _EVERY - 1:
                pause = life.seconds_between * _patience(client)
            if number > _BURST and is_over.wait(pause):
                return
    except BaseException:
        _note_trouble(life)
        raise


def _patience(client: SegOpsClient) -> int:
    """By how much to slow down: what waits may grow, and not without end."""
    with suppress(StorageError):
        return _PATIENT_FACTOR if client.stats().pending > _PATIENT_AT else 1
    return 1


def track_and_note(client: SegOpsClient, name: str, notes: int, life: Life) -> None:
    """Track an event, and note it once it is acknowledged; before, if a mutant is to be seen."""
    if life.mutant == "ack-first":
        os.write(notes, f"{name}\n".encode())
    try:
        client.track(make_event(name))
    except StorageError:
        if not life.disk_error:
            raise
        with life.refusals.open("ab") as file:
            file.write(b".")
        return  # it says that it may not be stored
    if life.mutant != "ack-first":
        os.write(notes, f"{name}\n".encode())


def prepare_to_fork(*more: str) -> None:
    """Have each life forked from a process that has imported all, and made no client.

    Args:
        *more: Modules that it has to have imported besides.
    """
    tools = str(Path(__file__).parents[1])
    # before Python 3.13 that process ignores the sys.path that it is given
    os.environ["PYTHONPATH"] = os.pathsep.join([tools, os.environ.get("PYTHONPATH", "")])
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        # what a client loads when it is opened takes longer than to open it
        ["_environment", "proof.life", "segops_durable.client.opening", *more]
    )


def troubles_below(home: Path) -> list[str]:
    """What lives have raised and should not have; the last line of each."""
    found = []
    for path in sorted(home.rglob("troubles")):
        found += [each.splitlines()[-1] for each in path.read_text().strip().split("\n\n")]
    return found
