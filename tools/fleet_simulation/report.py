"""The figures as a table: for a terminal, and for the README."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from _environment import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fleet_simulation.scenario import Scenario

README = ROOT / "README.md"
JSON, PLOT = ROOT / "tools" / "fleet.json", ROOT / "tools" / "fleet.svg"
BEGIN, END = "<!-- fleet: made by tools/fleet.py -->", "<!-- end of fleet -->"

_WIDTH = 110

HEADS = {
    "events a call": "a call",
    "jitter": "jitter",
    "all delivered": "drained",
    "most calls a second": "peak/s",
    "in a minute": "peak/min",
    "told 429": "429s",
    "of all calls": "share",
    "plan used": "used",
    "median device": "median",
    "99 % of devices": "p99",
}
"""The columns, as the README names them and as a terminal has room for."""


def as_document(scenario: Scenario, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All figures, for `--json`."""
    return {
        "scenario": {
            "devices": scenario.devices,
            "events": scenario.events,
            "outage": scenario.outage,
            "limit": scenario.limit,
            "has_power": scenario.has_power,
            "seed": scenario.seed,
        },
        "rows": rows,
    }


def title(document: dict[str, Any]) -> str:
    """What has happened, in a sentence."""
    found = document["scenario"]
    how = "without the network" if found["has_power"] else "without power"
    return (
        f"{found['devices']:,} devices come back from {_duration(found['outage'])} {how}, each with"
        f" {found['events']:,} events, {found['devices'] * found['events']:,} together, and share"
        f" {found['limit']:,} calls a minute (seed {found['seed']})"
    )


def cells(row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    more = ", ".join(f"`{name}={value}`" for name, value in row["more"].items())
    return [
        f"{row['batch_size']}" + (f", {more}" if more else ""),
        "yes" if row["jitter"] else "no",
        _duration(row["drained"]),
        f"{row['peak_second']:,}",
        f"{row['peak_minute']:,}",
        f"{row['throttled']:,}",
        f"{row['throttled_share']:.1%}",
        f"{row['used']:.0%}",
        _duration(row["median_device"]),
        _duration(row["p99_device"]),
    ]


def markdown(document: dict[str, Any]) -> str:
    """The table, and what it is of."""
    lines = [f"| {' | '.join(HEADS)} |", "|" + "---|" * len(HEADS)]
    lines += [f"| {' | '.join(cells(row))} |" for row in document["rows"]]
    return "\n".join([title(document) + ":", "", *lines])


def show(document: dict[str, Any]) -> None:
    """Print the table."""
    from rich.console import Console  # noqa: PLC0415 - not where a table is asked for in a test
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table(title=title(document), title_justify="left")
    for place, head in enumerate(HEADS.values()):
        table.add_column(head, justify="left" if place < 2 else "right")  # noqa: PLR2004 - words first
    for row in document["rows"]:
        table.add_row(*(each.replace("`", "") for each in cells(row)))
    console = Console()
    console.width = max(_WIDTH, console.width)  # a file, or a pipe, has room for it
    console.print(table)


def verdict(document: dict[str, Any]) -> tuple[str, int]:
    """The last line, and the status to end with."""
    rows: Sequence[dict[str, Any]] = document["rows"]
    problems = [f"{row['name']}: {each}" for row in rows for each in row["problems"]]
    if problems:
        return f"VERDICT: wrong. {'; '.join(problems)}", 1
    scenario = document["scenario"]
    events = scenario["devices"] * scenario["events"] * len(rows)
    return (
        f"VERDICT: ok. {events:,} events delivered, each once, 0 keys with two bodies,"
        f" 0 requests before their Retry-After was over, seed {scenario['seed']}"
    ), 0


def write(document: dict[str, Any], path: Path = README) -> None:
    """Put the table between the marks of the README.

    Raises:
        ValueError: There are no marks.
    """
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n\n{markdown(document)}\n\n{END}{after}", encoding="utf-8")


def _duration(seconds: float) -> str:
    for size, unit in ((86_400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size or (unit == "min" and seconds >= size):
            return f"{seconds / size:.1f} {unit}".replace(".0 ", " ")
    return f"{seconds:.0f} s"
