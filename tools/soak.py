"""Let everything go wrong, and count what is lost: ``python3 tools/soak.py --minutes 30``."""

from __future__ import annotations

import sys

from _environment import run_tool

if __name__ == "__main__":
    sys.exit(run_tool("proof.soak", "sandbox"))
