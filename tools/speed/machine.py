"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

_SYNCS = 200
_PAGE = bytes(4096)
_IN_MEMORY = {"tmpfs", "ramfs"}


def on_disk() -> str:
    """Where temporary files go, but on a disk: a sync of what is in memory costs nothing."""
    places = [tempfile.gettempdir(), "/var/tmp", str(Path.home())]  # noqa: S108 - for names of ours
    on_disks = (each for each in places if _file_system(Path(each).resolve()) not in _IN_MEMORY)
    return next(on_disks, places[0])


def describe(directory: str) -> dict[str, str]:
    """Name the machine, the file system below a directory, and what a sync costs there."""
    return {
        "cpu": _cpu(),
        "cores": str(_cores()),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
        "file system": _file_system(Path(directory).resolve()),
        "sync": f"{_sync_cost(directory) * 1e6:.0f} us for a page and its fdatasync (median)",
    }


def _cores() -> int:
    mine = getattr(os, "sched_getaffinity", None)
    return len(mine(0)) if mine else os.cpu_count() or 1


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _file_system(directory: Path) -> str:
    """The kind of the file system, by the longest mount point above a directory."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    found = [(fields[1], fields[2]) for fields in map(str.split, mounts)]
    above = [(point, kind) for point, kind in found if directory.is_relative_to(point)]
    return max(above, key=lambda each: len(each[0]))[1] if above else "unknown"


def _sync_cost(directory: str) -> float:
    """Seconds for a page that is written over and synced, which grows no file."""
    sync = getattr(os, "fdatasync", os.fsync)
    costs = []
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(_PAGE)
        os.fsync(file.fileno())
        for _ in range(_SYNCS):
            start = time.perf_counter()
            os.pwrite(file.fileno(), _PAGE, 0)
            sync(file.fileno())
            costs.append(time.perf_counter() - start)
    return statistics.median(costs)
