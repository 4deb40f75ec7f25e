"""Relays, in threads of the tests', or in processes of their own, as a device has them."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

from segops_durable.cli.commands.relay import _OPTIONS, _chosen
from segops_durable.cli.commands.relay import relay as relay_command
from segops_durable.client import Options
from segops_durable.relay import Relay, RelaySettings
from segops_durable.sandbox import HMAC_SECRET

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from segops_durable.system.clock import Clock

SECRET = "sk_test"

_SIGNER = f"""
import json, sys
from segops_durable import sign_user_id
from segops_durable.identity import verify_user_id

claim = json.load(sys.stdin)
then = claim["user_id_ts"]
fields = claim["user_id"], claim["user_id_sig"], then
assert claim["checked"] or verify_user_id("{HMAC_SECRET}", *fields, now=then)
print(json.dumps(sign_user_id("{HMAC_SECRET}", claim["user_id"])))
"""


def sign_command(home: Path) -> str:
    """A backend that signs for whoever can show that it has signed for them before."""
    path = home / "signer.py"
    path.write_text(_SIGNER)
    return f"{sys.executable} {path}"


def event(number: int, **more: Any) -> dict[str, Any]:
    """An event as an SDK posts it."""
    return {"user_id": "u", "event_type": "page_viewed", "payload": {"n": number}, **more}


@dataclass
class RunningRelay:
    """A relay of a sandbox, in a thread; on one port through all its lives.

    Attributes:
        upstream: Where SegOps is.
        home: Where its files are.
        flags: Options of the command.
        api_key: Its own key.
        options: More options of its client.
    """

    upstream: str
    home: Path
    flags: tuple[str, ...] = ()
    api_key: str = SECRET
    options: dict[str, Any] = field(default_factory=dict)
    url: str = ""
    told: list[str] = field(default_factory=list)

    @property
    def queue_path(self) -> Path:
        return self.home / "outbox.db"

    @property
    def loop_thread(self) -> int | None:
        """The thread that its loop runs on."""
        return self._thread.ident

    @property
    def _flags(self) -> list[str]:
        """The options, and where to listen: where it did before, or anywhere."""
        listen = self.url.removeprefix("http://") or "127.0.0.1:0"
        return [*self.flags, *([] if "--socket" in self.flags else ["--listen", listen])]

    def start(self) -> Self:
        """Start it; returns when it listens."""
        context = relay_command.make_context("relay", self._flags)
        own = {name: value for name, value in context.params.items() if name in _OPTIONS}
        chosen = {
            "api_url": self.upstream,
            "api_key": self.api_key,
            "queue_path": self.queue_path,
            "flush_interval": 0.05,
            "shutdown_timeout": 0.0,
            "on_error": lambda error: self.told.append(str(error)),
            **self.options,
        }
        self._relay = Relay(Options(**chosen), RelaySettings(**_chosen(own, {})))
        is_ready = threading.Event()

        def note(url: str) -> None:
            self.url = url
            self._loop = asyncio.get_running_loop()
            is_ready.set()

        self._thread = threading.Thread(target=self._relay.run, args=(note,))
        self._thread.start()
        assert is_ready.wait(60)
        return self

    def stop(self) -> int:
        """Ask it to end, and wait until it has."""
        self.ask_to_end()
        self._thread.join(60)
        assert not self._thread.is_alive()
        return 0

    def use_key(self, api_key: str) -> None:
        """Send with another key, as a SIGHUP has it do."""
        done = self._relay.client.set_api_key(api_key)
        asyncio.run_coroutine_threadsafe(done, self._loop).result(60)

    def go_by(self, clock: Clock) -> None:
        """Have another clock say for how long callers may do what; not, when anything is sent."""
        self._relay.client.inner._clock = clock

    def ask_to_end(self) -> None:
        """Have it take no more requests."""
        self._relay.end()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    @property
    def log(self) -> str:
        """What it has told."""
        return "\n".join(self.told)

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
        sql = "SELECT count(*) FROM queue_outbox"
        with closing(sqlite3.connect(f"file:{self.queue_path}?mode=ro", uri=True)) as connection:
            count: int = connection.execute(sql).fetchone()[0]
        return count

    def forget_rate(self) -> None:
        """Remove the note of what a 429 has taught, between two lives."""
        self.queue_path.with_name(self.queue_path.name + ".sender").unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.is_running:
            self.end()

    def end(self) -> None:
        """End it at the end of a test, without an effort."""
        self.stop()


@dataclass
class RelayProcess(RunningRelay):
    """A relay in a process of its own, which can be killed.

    Attributes:
        environ: What it finds in its environment, beside what it needs.
    """

    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start it; returns when it listens."""
        environ = {name: value for name, value in os.environ.items() if "SEGOPS" not in name}
        with (self.home / "log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "segops_durable", "relay", *self._flags],
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

    def end(self) -> None:
        self.kill()

    @property
    def is_running(self) -> bool:
        return self.process is not None

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
