"""What earlier runs of the benchmarks found: a line of JSON for each, to compare with."""

from __future__ import annotations

import json
import platform
import sqlite3
import subprocess
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from _environment import ROOT

if TYPE_CHECKING:
    from pathlib import Path

HISTORY = ROOT / ".bench" / "history.jsonl"
"""Where it is kept; git leaves it out, as each machine has its own."""
SHOWN = 10
_OF_A_RUN = ("date", "version", "commit", "python", "sqlite")


def save(ratios: dict[str, float], path: Path = HISTORY) -> None:
    """Append the ratios of a run, with what they are of.

    Args:
        ratios: By what is compared with what.
        path: The history; it is made if it is not there.
    """
    import segops_durable  # noqa: PLC0415 - `bench.py --help` does without

    run = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "version": segops_durable.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "ratios": {name: round(ratio, 4) for name, ratio in ratios.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")


def table(path: Path = HISTORY, shown: int = SHOWN) -> str:
    """Show the last runs, oldest first, a line each.

    Raises:
        OSError: There is no history, or it cannot be read.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    runs = [json.loads(line) for line in lines[-shown:]]
    names = list(dict.fromkeys(name for run in runs for name in run["ratios"]))
    rows = [[*_OF_A_RUN, *names]]
    for run in runs:
        found = [run["ratios"].get(name) for name in names]
        figures = ["-" if ratio is None else f"{ratio:.2f}" for ratio in found]
        rows.append([*(run[name] for name in _OF_A_RUN), *figures])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def commit() -> str:
    """Name the commit that is checked out, with a + if something differs from it."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],  # noqa: S607 - whichever git
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "none"  # no checkout, or no git
    return described.stdout.strip()
