"""Speed, shown beside the others: ``python3 tools/bench.py``, or ``--quick``; see ``--help``."""

from __future__ import annotations

import sys

from _environment import run_tool
from speed.options import parse

_PEERS = ("segops", "segment.analytics", "posthog", "logstash_async", "litequeue", "matplotlib")

if __name__ == "__main__":
    parse(sys.argv[1:])  # a question for help, or a mistake, costs nobody an environment
    here = {"--here", "--compare", "--from"}.intersection(
        each.partition("=")[0] for each in sys.argv
    )
    sys.exit(run_tool("speed.bench", "bench", needs=("rich",) if here else ("rich", *_PEERS)))
