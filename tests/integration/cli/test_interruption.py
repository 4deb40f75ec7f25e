"""Ctrl-C, once or twice, at any instant of a command that takes long: it ends, and is silent."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from segops_durable import SegOpsClient
from support.events import leave, numbered

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
NOISE = ("Traceback", "Exception ignored", "KeyboardInterrupt", "Error in", "Fatal")
COMMANDS = {
    "import": ("import", "{file}"),
    "import --send": ("import", "{file}", "--send"),
    "drain": ("drain",),
    "status --watch": ("status", "--watch"),
    "sandbox": ("sandbox", "--port", "0"),
    "demo": ("demo",),
}
PAUSE_SECONDS = 0.02
STARTS = """\
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever a shell's `&` has made of it
import segops_durable.cli.start as start
os.write(1, b"!")  # from here on Ctrl-C is ours
start.main()
"""


AWKWARD = {
    "while Python waits for a thread": """
is_started = threading.Event()
def later():
    is_started.wait()
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(0.2)
threading.Thread(target=later).start()
try:
    is_started.set()
    threading.Event().wait(60)
except KeyboardInterrupt:
    pass
""",
    "while Python ends": """
atexit.register(lambda: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2)])
""",
    "where nothing can be raised": """
class Thing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass
thing = Thing()
del thing
""",
    "while a command clears up": """
try:
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(60)
finally:
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(60)
""",
}


@pytest.mark.parametrize("place", AWKWARD)
def test_ctrl_c_is_silent_where_python_would_show_a_traceback(place: str) -> None:
    # a shell's `&` has it ignored
    heard = "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    imports = f"import atexit, os, signal, threading\n{heard}"
    ours = "from segops_durable.cli.interruption import end_without_traceback as ours; ours()\n"

    def run(code: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", code + AWKWARD[place]],
            env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stderr

    assert "KeyboardInterrupt" in run(imports)[1]  # so it is without us
    status, errors = run(imports + ours)
    assert errors == ""
    assert status in {1, -signal.SIGINT}


@pytest.mark.long
@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_twice_leaves_no_traceback(name: str, sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "sales.jsonl"
    row = '{"user_id": "u", "event_type": "x", "n": %d}\n'
    file.write_text("".join(row % number for number in range(300_000)))
    queue_path = tmp_path / "outbox.db"
    sandbox.stop()
    client = SegOpsClient(
        sandbox.url, "sk_test", queue_path=queue_path, on_error=lambda _error: None
    )
    client.track_many(numbered(2000))
    leave(client)
    sandbox.start()
    sandbox.faults(delay=0.2)
    environment = {
        **{each: value for each, value in os.environ.items() if "SEGOPS" not in each},
        "SEGOPS_API_URL": sandbox.url,
        "SEGOPS_API_KEY": "sk_test",
        "SEGOPS_QUEUE_PATH": str(queue_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
    }
    chance = random.Random(name)
    wait = threading.Event()
    running = subprocess.Popen(
        [
            sys.executable,
            "-c",
            STARTS,
            *(word.replace("{file}", str(file)) for word in COMMANDS[name]),
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # the children of a demo hear a terminal's Ctrl-C as well
    )
    assert running.stdout is not None
    assert running.stdout.read(1) == b"!"
    wait.wait(chance.random() * 1.5 + 0.01)
    for _ in range(2):
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGINT)
        wait.wait(PAUSE_SECONDS)
    output, errors = running.communicate(timeout=60)
    text = (output + errors).decode(errors="replace")
    assert not any(each in text for each in NOISE), text
    assert running.returncode in {0, 1, -signal.SIGINT}, (running.returncode, text)
