"""One picture of two panels: how the backlog goes, and how the calls come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from pathlib import Path

_COLOURS = ("#d1495b", "#edae49", "#8f8f8f", "#1f6f8b", "#66a182", "#2e4057")


def draw(document: dict[str, Any], path: Path) -> None:
    """Draw it.

    Args:
        document: What `report.as_document` made.
        path: Of the file.
    """
    mpl.use("Agg")
    mpl.rcParams.update(
        {
            "svg.hashsalt": "segops_durable",  # the same figures make the same file
            "svg.fonttype": "none",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for place, row in enumerate(document["rows"]):
        style: dict[str, Any] = {
            "color": _COLOURS[place % len(_COLOURS)],
            "linestyle": "-" if row["jitter"] else "--",
            "label": row["name"],
        }
        curve = row["curve"]
        end = [row["drained"] / 60], [0.0]
        left.plot(curve["minutes"] + end[0], curve["waiting"] + end[1], **style)
        right.step(curve["minutes"], curve["peaks"], where="post", **style)
    left.set_ylabel("events that wait")
    left.set_ylim(bottom=0)
    left.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    right.set_ylabel("calls in the worst second")
    right.set_yscale("log")
    fair = document["scenario"]["limit"] / 60
    right.axhline(fair, color="black", linewidth=0.6)
    right.annotate("the plan", (right.get_xlim()[1], fair), ha="right", va="bottom", fontsize=7)
    for axes in (left, right):
        axes.set_xlabel("minutes since the end of the outage")
        axes.set_xlim(left=0)
    left.legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
