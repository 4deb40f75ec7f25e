"""Measure a relay beside a SegOps that stores, and one that does not: ``tools/relay_bench.py``."""

from __future__ import annotations

import sys

from _environment import run_tool

if __name__ == "__main__":
    sys.exit(run_tool("speed.relay", "relay,sandbox", ("orjson", "starlette", "uvicorn")))
