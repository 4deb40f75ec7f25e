"""A service manager, as a service sees it: a socket that it is told things at."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_SECONDS = 60.0
RELAY = ("-m", "segops_durable", "relay", "--listen", "127.0.0.1:0", "--log-format", "json")


class Systemd:
    """Hears what services tell, one datagram after the other.

    Args:
        address: Of its socket: a path, or an abstract name that begins with an @.

    Attributes:
        heard: All that it was told so far.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def wait_for(self, is_it: Callable[[str], object]) -> str:
        """Listen until something is told; give that. What is told before is heard as well."""
        deadline = time.monotonic() + _SECONDS
        while True:
            readable, _, _ = select.select([self._socket], [], [], deadline - time.monotonic())
            assert readable, self.heard
            said = self._socket.recv(65536).decode()
            self.heard.append(said)
            if is_it(said):
                return said

    def wait_for_line(self, line: str) -> str:
        """Listen until a line is told."""
        return self.wait_for(lambda said: line in said.split("\n"))

    def close(self) -> None:
        self._socket.close()


class Service:
    """A process that was started by it."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return self._log.read_text()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Have it end, and wait; return its status."""
        self.signal(signal.SIGTERM)
        return self.process.wait(_SECONDS)

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def service(
    home: Path, command: Sequence[str], environ: dict[str, str], **options: Any
) -> Iterator[Service]:
    """Start one; it is killed in the end.

    Args:
        home: Where its log is.
        command: What Python runs.
        environ: What it finds in its environment, beside what it needs.
        **options: Of the process.
    """
    inherited = {name: value for name, value in os.environ.items() if "SEGOPS" not in name}
    path = home / "service.log"
    with (
        path.open("a") as log,
        subprocess.Popen(
            [sys.executable, *command],
            env={**inherited, "HOME": str(home), **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            **options,
        ) as process,
    ):
        try:
            yield Service(process, path)
        finally:
            process.kill()
