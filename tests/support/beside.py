"""A process beside the test's own, with a client of the same outbox, that does what it is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PROGRAM = """
import json, os, sys, time
from segops_durable import SegOpsClient

url, path, options = sys.argv[1:]
client = SegOpsClient(url, "sk_test", queue_path=path, on_error=lambda error: None,
                      **json.loads(options))

def track(first, count):
    for number in range(first, first + count):
        client.track(user_id="u", event_type="e", payload={"n": number})

def flush(timeout):
    return client.flush(timeout).ok

def state():
    return client.stats().state.value

def become_sender():
    while client.stats().state.value != "idle" or not client._delivery.current.sender.place.is_kept:
        time.sleep(0.01)

print("ready", flush=True)
for line in sys.stdin:
    name, *arguments = json.loads(line)
    print(json.dumps(globals()[name](*arguments)), flush=True)
client.shutdown(0)
"""


class Beside:
    """Such a process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def tell(self, *words: object) -> None:
        """Have it do something, and do not wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """What came of the oldest thing that it was told and not asked about yet."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, *words: object) -> Any:
        """Have it do something, and wait."""
        self.tell(*words)
        return self.answer()

    def stop(self) -> None:
        """Stop it as a debugger would."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        """Have it go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


@contextmanager
def beside(url: str, queue_path: Path, *, program: str = "", **options: Any) -> Iterator[Beside]:
    """Start one; it is killed in the end.

    Args:
        url: Where SegOps is.
        queue_path: The outbox.
        program: What it runs before the rest. Defaults to nothing.
        **options: Of its client.
    """
    script = program + _PROGRAM
    command = [sys.executable, "-c", script, url, str(queue_path), json.dumps(options)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield Beside(process)
        finally:
            process.kill()
