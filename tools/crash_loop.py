"""Kill clients at random, and count what is lost: ``python3 tools/crash_loop.py --kills 10000``."""

from __future__ import annotations

import sys

from _environment import run_tool

if __name__ == "__main__":
    sys.exit(run_tool("proof.crash_loop", "sandbox"))
