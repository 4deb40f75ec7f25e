"""The programs of the documentation, run as a user runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = Path(__file__).parents[2] / "tools" / "docs" / "programs"
_BESIDE = Path(sys.executable).parent


@dataclass(frozen=True)
class Programs:
    """The programs of the documentation, in a directory of their own, and how they are started.

    Attributes:
        home: The directory.
        environ: What they find in their environment.
    """

    home: Path
    environ: dict[str, str]

    @contextmanager
    def started(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """Start a command of this environment; it is asked to end, and killed if it does not."""
        with (
            (self.home / "log").open("a") as log,
            subprocess.Popen(
                [str(_BESIDE / command[0]), *command[1:]],
                cwd=self.home,
                env=self.environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            ) as process,
            ExitStack() as at_end,
        ):
            at_end.callback(_end, process)
            yield process

    @property
    def log(self) -> str:
        """What all of them have printed."""
        return (self.home / "log").read_text(errors="replace")


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)  # a worker of uWSGI may have missed the signal
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # and whoever is left of its children
    process.wait(20)


def answered(url: str, *, method: str = "GET") -> requests.Response:
    """Ask until the server is up; 60 seconds at most."""
    # a connection that is refused is tried again, at growing pauses, for about a minute
    session = requests.Session()
    retries = Retry(total=None, connect=14, read=0, other=0, backoff_factor=0.01, backoff_max=10)
    session.mount("http://", HTTPAdapter(max_retries=retries))
    with session:
        return session.request(method, url, timeout=30)
