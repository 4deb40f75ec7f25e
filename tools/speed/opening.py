"""How soon a program that opens an outbox sends its first batch, and in how much memory."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speed.server import Server

_MOST_SECONDS = 120.0


def first_request(server: Server, place: Path) -> tuple[float, float]:
    """Seconds until the first request came, and the most memory until then, in bytes."""
    server.reset()
    server.set_mood("silent")
    code = "import sys; from speed.jobs import open_and_send; open_and_send(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(place), server.url]
    never = threading.Event()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        start = float(process.stdout.readline())
        for _ in range(int(_MOST_SECONDS / 0.01)):
            if server.counts()["requests"]:
                break
            never.wait(0.01)
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        process.kill()
    first = server.counts()["first"]
    server.set_mood("open")
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return first - start, int(peak) * 1024.0
