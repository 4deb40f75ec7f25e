"""A fleet comes back from an outage: ``python3 tools/fleet.py --quick``; see ``--help``."""

from __future__ import annotations

import sys

from _environment import run_tool
from fleet_simulation.options import parse

if __name__ == "__main__":
    parse(sys.argv[1:])  # a question for help, or a mistake, costs nobody an environment
    needs = ["greenlet", "jwt", "rich", "starlette", "uvicorn"]
    if {"--plot", "--record"}.intersection(each.partition("=")[0] for each in sys.argv):
        needs.append("matplotlib")
    sys.exit(run_tool("fleet_simulation.main", "fleet", tuple(needs)))
