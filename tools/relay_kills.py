"""Kill a relay under load, and count what is lost: ``python3 tools/relay_kills.py --kills 50``."""

from __future__ import annotations

import sys

from _environment import run_tool

if __name__ == "__main__":
    sys.exit(run_tool("proof.relay_kills", "sandbox", ("starlette", "uvicorn")))
