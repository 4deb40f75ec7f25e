"""What was found: tables on the terminal, and JSON."""

from __future__ import annotations

import json
import statistics
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import _history
from rich.table import Table

import segops_durable
from speed.peers import PEERS

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from speed.growth import Curve
    from speed.jobs import Timing
    from speed.rows import Row


def as_document(
    machine: dict[str, str],
    rows: dict[str, Row],
    contenders: dict[str, list[Timing]],
    curves: list[Curve],
) -> dict[str, Any]:
    """All that was found, as JSON has it."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "version": segops_durable.__version__,
        "commit": _history.commit(),
        "machine": machine,
        "rows": [
            {
                "name": row.name,
                "what": row.what,
                "target": row.wanted(),
                "median": row.median,
                "found": row.found(),
                "spread": row.spread(),
                "is_met": row.is_met,
                "note": row.note or ("" if row.rounds else "not measured here"),
                "rounds": [round(each, 5) for each in row.rounds],
            }
            for row in rows.values()
        ],
        "contenders": [
            {
                "name": name,
                "keeps": PEERS[_of_whom(name)].keeps,
                "each_us": round(statistics.median(each.each for each in rounds) * 1e6, 2),
                "p99_us": round(statistics.median(each.p99 for each in rounds) * 1e6, 2),
                "rounds_us": [round(each.each * 1e6, 2) for each in rounds],
            }
            for name, rounds in contenders.items()
        ],
        "growth": [vars(curve) for curve in curves],
    }


def _of_whom(name: str) -> str:
    """The peer of a contender, whose name has more behind it."""
    return max((peer for peer in PEERS if name.startswith(peer)), key=len)


def print_tables(document: dict[str, Any], console: Console) -> None:
    """Show it to a person."""
    machine = ", ".join(f"{name} {text}" for name, text in document["machine"].items())
    console.print(machine, highlight=False)
    console.print(_of_contenders(document["contenders"]))
    console.print(_of_growth(document["growth"]))
    console.print(_of_rows(document["rows"]))
    met = [row["is_met"] for row in document["rows"]]
    console.print(f"{met.count(True)} met, {met.count(False)} not, {met.count(None)} not measured")


def _of_rows(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="What was to be reached")
    for name in ("what", "to reach", "found", "rounds", ""):
        table.add_column(name, justify="left" if name in {"what", ""} else "right")
    signs = {True: "met", False: "[bold]not met[/]", None: "-"}
    for row in rows:
        what = f"{row['what']} ({row['note']})" if row["note"] else row["what"]
        table.add_row(what, row["target"], row["found"], row["spread"], signs[row["is_met"]])
    return table


def _of_contenders(contenders: list[dict[str, Any]]) -> Table:
    table = Table(title="One event at a time")
    for name in ("who", "us an event", "p99, us", "where the event is then"):
        table.add_column(name, justify="right" if "us" in name else "left")
    for each in contenders:
        table.add_row(
            each["name"], f"{each['each_us']:,.1f}", f"{each['p99_us']:,.0f}", each["keeps"]
        )
    return table


def _of_growth(curves: list[dict[str, Any]]) -> Table:
    table = Table(title="As things grow: us an event, or a call")
    done = ("track", "deliver", "stats()", "open")
    for name in ("of what", "how much", *done):
        table.add_column(name, justify="left" if name == "of what" else "right")
    for curve in curves:
        for number, size in enumerate(curve["at"]):
            figures = [
                f"{curve['figures'][name][number]:,.1f}" if name in curve["figures"] else ""
                for name in done
            ]
            table.add_row(curve["of_what"], f"{size:,}", *figures)
    return table


def write_json(document: dict[str, Any], path: Path) -> None:
    """Write all figures to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
