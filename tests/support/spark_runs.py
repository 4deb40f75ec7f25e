"""What tests of Spark ask of processes, and of a sandbox."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

    from segops_durable.sandbox import Sandbox


def kill_all_of(process: subprocess.Popen[str]) -> None:
    """Kill a driver, its JVM and all that they have started, in whatever group they are."""
    family = descendants(process.pid)
    for each in [process.pid, *family]:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    children: dict[int, list[int]] = defaultdict(list)
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                fields = (each / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children[int(fields[1])].append(int(each.name))
    found, waiting = [], [pid]
    while waiting:
        below = children[waiting.pop()]
        found += below
        waiting += below
    return found


def numbers(sandbox: Sandbox) -> list[int]:
    """The numbers of the events that were accepted, each once, in their order."""
    return sorted({each["event"]["payload"]["n"] for each in sandbox.events()})


def keys_by_event(sandbox: Sandbox) -> dict[int, set[str]]:
    """Under which keys each event has come, by its number."""
    found: dict[int, set[str]] = defaultdict(set)
    for each in sandbox.events():
        found[each["event"]["payload"]["n"]].add(each["idempotency_key"])
    return found
