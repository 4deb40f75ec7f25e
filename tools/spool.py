"""Kill imports of what Spark has written, and count: ``python3 tools/spool.py --rows 1000000``."""

from __future__ import annotations

import sys

from _environment import run_tool

if __name__ == "__main__":
    sys.exit(run_tool("proof.spool", "sparktest", ("pyspark", "pyarrow", "uvicorn")))
