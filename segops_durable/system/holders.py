"""Who holds a lock on a file, where the system tells: on Linux, in ``/proc``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROC = Path("/proc")
_STATE, _USER_TICKS, _SYSTEM_TICKS = 0, 11, 12
"""Fields of ``/proc/PID/stat``, counted from behind the command's name."""


@dataclass(frozen=True)
class Holder:
    """A process that holds a lock.

    Attributes:
        pid: Its id.
        is_stopped: Whether it is stopped: by SIGSTOP, or by a debugger.
        ticks: The processor time that it has used, to see whether it gets on.
    """

    pid: int
    is_stopped: bool
    ticks: int


def holder_of(paths: Iterable[Path]) -> Holder | None:
    """The process with an exclusive lock on one of these files, a stopped one first; or None."""
    inodes = {str(inode) for inode in map(_inode, paths) if inode is not None}
    found = [_process(pid) for pid in sorted(_pids(inodes))]
    known = [each for each in found if each is not None]
    return max(known, key=lambda each: each.is_stopped, default=None)


def _pids(inodes: set[str]) -> set[int]:
    """Those that hold a lock, not those that wait (``->``); of other containers nothing is told."""
    try:
        lines = (_PROC / "locks").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return set()
    pids = set()
    for fields in map(str.split, lines):
        # 1: FLOCK  ADVISORY  WRITE 12345 fe:00:2146613 0 EOF
        is_held = len(fields) == 8 and fields[3] == "WRITE"  # noqa: PLR2004 - as it is above
        if is_held and fields[5].rpartition(":")[2] in inodes and fields[4].isdigit():
            pids.add(int(fields[4]))
    return pids


def _process(pid: int) -> Holder | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before may have spaces and brackets
    ticks = int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
    return Holder(pid, fields[_STATE] in {"T", "t"}, ticks)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
