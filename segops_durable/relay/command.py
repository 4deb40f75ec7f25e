"""A command that is asked one thing: bounded in time, and in what it may say."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SESSIONS = hasattr(os, "killpg")


class CommandError(Exception):
    """A command has given no answer; it says nothing of what was asked."""


def ask_command(words: Sequence[str], question: bytes, seconds: float, most: int) -> bytes:
    """Run a command, and return what it prints.

    Args:
        words: The program and its arguments; no shell sees them.
        question: What it gets on its standard input.
        seconds: How long it may take. Then it is ended, with all that it has started.
        most: Bytes that it may print. What prints more is ended likewise, and not kept.

    Raises:
        CommandError: It cannot be run, takes too long, prints too much, or says that it failed.
    """
    end = time.monotonic() + seconds
    try:
        process = subprocess.Popen(  # noqa: S603 - it is the user's own
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=_SESSIONS,
        )
    except (OSError, ValueError) as error:
        raise CommandError(f"has not run ({type(error).__name__})") from None
    heard: list[bytes] = []
    # on a thread, as a pipe cannot be waited for everywhere; it closes the pipes itself, since
    # what the command has left behind may keep them open
    thread = threading.Thread(
        target=_converse, args=(process, question, most, heard), name="segops-signer", daemon=True
    )
    try:
        thread.start()
        thread.join(seconds)
        status = _status(process, end) if heard and len(heard[0]) <= most else None
    finally:
        _end(process)
    if status is None:
        problem = "has said too much" if heard and len(heard[0]) > most else "took too long"
        raise CommandError(problem)
    if status:
        raise CommandError(f"ended with status {status}")
    return heard[0]


def _converse(
    process: subprocess.Popen[bytes], question: bytes, most: int, heard: list[bytes]
) -> None:
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101 - likewise
    with process.stdout as said:
        with suppress(OSError):  # it may ask for nothing, and have ended
            process.stdin.write(question)
        with suppress(OSError):
            process.stdin.close()
        heard.append(said.read(most + 1))


def _status(process: subprocess.Popen[bytes], end: float) -> int | None:
    try:
        return process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it, and what it has started where that is in its session still."""
    if _SESSIONS:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
