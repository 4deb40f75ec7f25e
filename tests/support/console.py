"""README's console blocks, run for real: the very commands, and the very words of what they say.

A line of a block that begins with ``$`` is a command, and goes on after a ``\\`` at its end; the
lines after it are all that it prints. Only these are not compared letter by letter:

- a bar of progress, which is for a terminal, is not printed into a pipe;
- ``…`` stands for anything, as in a line that would be too long;
- after a command that was ``Killed``, how many events it had stored: what is said later has to
  add up to the same sum.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

KILLED = "Killed"
_BAR = "━"
_NUMBER = re.compile(r"\d[\d,]*")
_LOOK_SECONDS = 0.005
_LONGEST_SECONDS = 120.0


@dataclass
class Step:
    """A command, and all that it prints."""

    command: str
    expected: list[str] = field(default_factory=list)


def blocks(markdown: str) -> list[list[Step]]:
    """The console blocks of a text, each as its steps."""
    return [_steps(each) for each in re.findall(r"```console\n(.*?)```", markdown, re.DOTALL)]


def _steps(block: str) -> list[Step]:
    steps: list[Step] = []
    goes_on = False
    for line in block.splitlines():
        if goes_on:
            steps[-1].command += f"\n{line}"
        elif line.startswith("$ "):
            steps.append(Step(line[2:]))
        else:
            steps[-1].expected.append(line)
        goes_on = line.endswith("\\") and (goes_on or line.startswith("$ "))
    return steps


class Console:
    """A shell in a directory of its own, with the command on its path.

    Args:
        directory: Where files are.
        api_url: Where SegOps is.
    """

    def __init__(self, directory: Path, api_url: str) -> None:
        self.directory = directory
        self.queue_path = directory / ".state" / "outbox.db"
        programs = directory / ".bin"
        programs.mkdir()
        for name in ("segops-durable", "python"):
            program = programs / name
            module = " -m segops_durable" if name == "segops-durable" else ""
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
            program.chmod(0o755)
        self.env = {
            **{name: value for name, value in os.environ.items() if "SEGOPS" not in name},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(directory),
            "XDG_CONFIG_HOME": str(directory / ".config"),
            "XDG_STATE_HOME": str(directory / ".state"),
            "SEGOPS_API_URL": api_url,
            "SEGOPS_API_KEY": "sk_test",
            "SEGOPS_QUEUE_PATH": str(self.queue_path),
            "PYTHONIOENCODING": "utf-8",
        }
        self._is_killed = False

    def run(self, step: Step) -> None:
        """Run a step, and compare what it prints with what is written there."""
        expected = [line for line in step.expected if _BAR not in line]
        if expected == [KILLED]:
            self._kill(step.command)
            return
        done = subprocess.run(
            ["bash", "-c", step.command],
            cwd=self.directory,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_LONGEST_SECONDS,
        )
        printed = [line for line in done.stdout.splitlines() if _BAR not in line]
        assert len(printed) == len(expected), (step.command, printed, expected)
        for line, wanted in zip(printed, expected, strict=True):
            assert self._is_same(line, wanted), (step.command, line, wanted)

    def _is_same(self, line: str, wanted: str) -> bool:
        pattern = ".*".join(map(re.escape, wanted.split("…")))
        if re.fullmatch(pattern, line):
            return True
        return (
            self._is_killed
            and _NUMBER.sub("0", line) == _NUMBER.sub("0", wanted)
            and sum(_numbers(line)) == sum(_numbers(wanted))
        )

    def _kill(self, command: str) -> None:
        """Kill a command once some of its events are stored."""
        self._is_killed = True
        running = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.directory,
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait = threading.Event()
        while not self.stored():
            assert running.poll() is None, "it ended before it could be killed"
            wait.wait(_LOOK_SECONDS)
        running.kill()
        assert running.wait() == -signal.SIGKILL, "it ended before it could be killed"

    def stored(self) -> int:
        """How many events have been stored, as far as can be seen now."""
        with (
            suppress(sqlite3.Error),
            closing(sqlite3.connect(f"file:{self.queue_path}?mode=ro", uri=True)) as connection,
        ):
            found = connection.execute("SELECT max(_id) FROM queue_outbox").fetchone()
            return int(found[0] or 0)
        return 0


def _numbers(line: str) -> list[int]:
    return [int(each.replace(",", "")) for each in _NUMBER.findall(line)]
