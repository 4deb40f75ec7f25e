"""The figures in the README: made of the file that the benchmark has written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from _environment import ROOT

if TYPE_CHECKING:
    from pathlib import Path

README = ROOT / "README.md"
JSON, PLOT = ROOT / "tools" / "speed.json", ROOT / "tools" / "speed.svg"
BEGIN, END = "<!-- speed: made by tools/bench.py -->", "<!-- end of speed -->"
_SIGNS = {True: "yes", False: "**no**", None: "-"}


def table(document: dict[str, Any]) -> str:
    """The figures, as Markdown.

    Args:
        document: What `report.as_document` made.
    """
    machine = document["machine"]
    about = (
        f"Measured on {machine['cores']} cores of a shared {machine['cpu']},"
        f" {machine['kernel']}, {machine['python']}, SQLite {machine['sqlite']},"
        f" {machine['file system']}; a sync there: {machine['sync']}."
    )
    rows = ["| what | to reach | found | rounds | met |", "|---|---|---|---|---|"]
    for row in document["rows"]:
        what = f"{row['what']} ({row['note']})" if row["note"] else row["what"]
        cells = [what, row["target"], row["found"], row["spread"], _SIGNS[row["is_met"]]]
        rows.append("| " + " | ".join(cell or "-" for cell in cells) + " |")
    by_cost = sorted(document["contenders"], key=lambda each: float(each["each_us"]))
    peers = [
        "| one event at a time | µs | where it is then |",
        "|---|---|---|",
        *(f"| {each['name']} | {each['each_us']:,.0f} | {each['keeps']} |" for each in by_cost),
    ]
    return "\n".join([about, "", *rows, "", *peers])


def write(document: dict[str, Any], path: Path = README) -> None:
    """Put the figures between the marks of the README.

    Raises:
        ValueError: There are no marks.
    """
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    new = f"{before}{BEGIN}\n\n{table(document)}\n\n{END}{after}"
    path.write_text(new, encoding="utf-8")
