"""The machine that an outbox is on: its clock, the file and its disk."""

from __future__ import annotations

import os
import shutil
import stat
import time
from typing import TYPE_CHECKING

from rich.filesize import decimal

from segops_durable.cli.diagnosis.finding import Finding, Grade
from segops_durable.outbox import filesystem_of, is_network_filesystem
from segops_durable.system.clock import PLAUSIBLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LITTLE_SPACE = 64 << 20
_OPEN_BITS = stat.S_IRWXG | stat.S_IRWXO


def look_at_clock() -> Finding:
    """Whether the machine's clock has been set."""
    if time.time() < PLAUSIBLE:
        text = f"it shows {time.strftime('%Y-%m-%d %H:%M', time.gmtime())}"
        return Finding("clock", Grade.FAILED, text, "Set it, or let NTP set it")
    return Finding("clock", Grade.OK, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))


def look_at_file(path: Path) -> Iterator[Finding]:
    """Who may read and write a file, and whether locks hold on its file system."""
    found = path.stat()
    problems = []
    if os.name != "nt" and found.st_mode & _OPEN_BITS:
        problems.append(f"others may read it: mode {stat.S_IMODE(found.st_mode):o}")
    if not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK):
        yield Finding(
            "permissions",
            Grade.FAILED,
            f"this user may not write {path}",
            "Run it as the user that tracks, or hand the directory over to this one",
        )
    elif problems:
        yield Finding("permissions", Grade.NOTE, "; ".join(problems), f"chmod 600 {path}")
    else:
        yield Finding("permissions", Grade.OK, f"{path} is private")
    kind = filesystem_of(path)
    if is_network_filesystem(kind):
        mend = "Move the outbox to a local disk"
        yield Finding("file system", Grade.FAILED, f"{kind}, whose locks may not hold", mend)
    else:
        yield Finding("file system", Grade.OK, kind or "unknown")


def look_at_space(path: Path) -> Finding:
    """How much room there is on a file's disk."""
    free = shutil.disk_usage(path.parent).free
    if free < _LITTLE_SPACE:
        return Finding("free space", Grade.FAILED, decimal(free), "Make room on this disk")
    return Finding("free space", Grade.OK, decimal(free))
