"""Cut the power everywhere, and count what is lost: ``python3 tools/powercut.py``."""

from __future__ import annotations

import sys

from _environment import run_tool

if __name__ == "__main__":
    sys.exit(run_tool("proof.powercut", "sandbox"))
else:
    from proof.disks import Disk, read_log
    from proof.powercut import EVENTS, Cutter, in_memory, record
    from proof.shims import build

    __all__ = ["EVENTS", "Cutter", "Disk", "build", "in_memory", "read_log", "record"]
