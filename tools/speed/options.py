"""What `bench.py` can be told; read before anything is installed for it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import _history

_WHAT = """Speed, shown beside the others: real runs, side by side, as ratios within one run.

Each contender stores, or promises to send, the same event. Each runs in a process of its own,
proves that it has done its work, and takes turns with the others; the median of the rounds
counts. Whoever sends does so to a server on loopback, in another process. Where a contender
keeps events in memory, the table says so.
"""


def parse(arguments: list[str]) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    """Read the options; give the parser as well, for what shows to be wrong only later."""
    parser = argparse.ArgumentParser(
        prog="bench.py",
        description=_WHAT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Status 0: measured, whatever the figures. 1: a contender did not do its work.",
    )
    how_much = parser.add_mutually_exclusive_group()
    how_much.add_argument("--quick", action="store_true", help="in less than two minutes")
    how_much.add_argument("--smoke", action="store_true", help="only to see that all works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to it")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw an SVG, and one beside it of the growth"
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="write what the repository keeps: tools/speed.json, the plots, the README's tables",
    )
    parser.add_argument(
        "--from",
        dest="given",
        type=Path,
        metavar="FILE",
        help="measure nothing: show, draw and record what --json has written",
    )
    parser.add_argument("--events", type=int, help="per contender and round")
    parser.add_argument("--rounds", type=int, help="in which they take turns")
    parser.add_argument("--lines", type=int, help="of the file to import")
    parser.add_argument(
        "--directory", help="where the outboxes go: the disk to measure (that of temporary files)"
    )
    history: dict[str, Any] = {
        "nargs": "?",
        "type": Path,
        "const": _history.HISTORY,
        "metavar": "FILE",
    }
    parser.add_argument("--save", **history, help=f"append the ratios to {_history.HISTORY}")
    parser.add_argument("--compare", **history, help="show the last runs, and measure nothing")
    parser.add_argument(
        "--here", action="store_true", help="with this Python, without the peers that it has not"
    )
    return parser.parse_args(arguments), parser
