"""Relays in processes of their own, as a device has them."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

SECRET = "sk_test"


def event(number: int, **more: Any) -> dict[str, Any]:
    """An event as an SDK posts it."""
    return {"user_id": "u", "event_type": "page_viewed", "payload": {"n": number}, **more}


@dataclass
class RunningRelay:
    """A relay of a sandbox; on one port through all its lives.

    Attributes:
        upstream: Where SegOps is.
        home: Where its files are.
        options: Of the command.
        api_key: Its own key.
        environ: What it finds in its environment, beside what it needs.
    """

    upstream: str
    home: Path
    options: tuple[str, ...] = ()
    api_key: str = SECRET
    environ: dict[str, str] = field(default_factory=dict)
    url: str = ""
    process: subprocess.Popen[str] | None = None

    @property
    def queue_path(self) -> Path:
        return self.home / "outbox.db"

    def start(self) -> Self:
        """Start it; returns when it listens."""
        listen = self.url.removeprefix("http://") or "127.0.0.1:0"
        where = [] if "--socket" in self.options else ["--listen", listen]
        environ = {name: value for name, value in os.environ.items() if "SEGOPS" not in name}
        with (self.home / "log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "segops_durable", "relay", *where, *self.options],
                env={
                    **environ,
                    "SEGOPS_API_URL": self.upstream,
                    "SEGOPS_API_KEY": self.api_key,
                    "SEGOPS_QUEUE_PATH": str(self.queue_path),
                    "SEGOPS_FLUSH_INTERVAL": "0.05",
                    "HOME": str(self.home),
                    **self.environ,
                },
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "SegOps relay on " in line, (line, self.log)
        self.url = line.split("SegOps relay on ")[1].split(" ")[0]
        return self

    def kill(self) -> None:
        """End it as the kernel does when there is no memory left."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end, and wait until it has."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        status = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return status

    @property
    def log(self) -> str:
        """What it has said on standard error."""
        return (self.home / "log").read_text()

    def post(
        self, path: str, document: Any = None, *, key: str | None = SECRET, **options: Any
    ) -> requests.Response:
        """Post JSON; `key` is what stands behind ApiKey."""
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        if key is not None:
            headers.setdefault("Authorization", f"ApiKey {key}")
        if document is not None:
            options["json"] = document
        return requests.post(self.url + path, headers=headers, timeout=60, **options)

    def track(self, *events: dict[str, Any], **options: Any) -> requests.Response:
        """Post a batch."""
        return self.post("/api/ingestion/track/batch/", {"events": [*events]}, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        """Ask for a page."""
        return requests.get(self.url + path, timeout=60, **options)

    def waiting(self) -> int:
        """How many events are on its disk, as another process sees it."""
        with sqlite3.connect(f"file:{self.queue_path}?mode=ro", uri=True) as connection:
            count: int = connection.execute("SELECT count(*) FROM queue_outbox").fetchone()[0]
        connection.close()
        return count

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process is not None:
            self.kill()
