"""Two pictures: what was reached, and what an event costs as things grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from pathlib import Path

_OURS, _ON_DISK, _ELSEWHERE = "#1f6f8b", "#8f8f8f", "#dcdcdc"
_COLOURS = {"track": "#1f6f8b", "deliver": "#d1495b", "stats()": "#8f8f8f"}


def draw(document: dict[str, Any], path: Path) -> None:
    """Draw both.

    Args:
        document: What `report.as_document` made.
        path: Of the first; the second has ``-growth`` in its name.
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
    _save(_contenders(document["contenders"]), path)
    _save(_growth(document["growth"]), path.with_name(f"{path.stem}-growth{path.suffix}"))


def _save(figure: Any, path: Path) -> None:  # noqa: ANN401 - matplotlib ships no types here
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _contenders(contenders: list[dict[str, Any]]) -> Any:  # noqa: ANN401 - as above
    """A bar for each, and a line from its fastest round to its slowest."""
    shown = sorted(contenders, key=lambda each: float(each["each_us"]), reverse=True)
    figure, axes = plt.subplots(figsize=(8, 0.32 * len(shown) + 1), layout="constrained")
    for place, each in enumerate(shown):
        theirs = _ON_DISK if each["keeps"].startswith("on disk") else _ELSEWHERE
        colour = _OURS if each["name"].startswith("track") else theirs
        axes.barh(place, each["each_us"], color=colour, height=0.7)
        rounds = each["rounds_us"]
        axes.plot([min(rounds), max(rounds)], [place, place], color="black", linewidth=0.8)
        text = f" {each['each_us']:,.0f} µs, {each['keeps']}"
        axes.text(max(rounds) * 1.05, place, text, va="center", fontsize=7)
    axes.set_yticks(range(len(shown)), [each["name"] for each in shown])
    axes.set_xscale("log")
    axes.set_xlabel("µs an event (median of the rounds; the line is their spread)")
    axes.set_xlim(10, axes.get_xlim()[1] * 15)  # room for the texts
    axes.set_title("One event at a time", loc="left")
    return figure


def _growth(curves: list[dict[str, Any]]) -> Any:  # noqa: ANN401 - as above
    """A panel for each thing that grows."""
    figure, panels = plt.subplots(1, len(curves), figsize=(11, 2.8), layout="constrained")
    for axes, curve in zip(panels, curves, strict=True):
        for name, figures in curve["figures"].items():
            if name not in _COLOURS:  # of another size
                continue
            axes.plot(curve["at"], figures, marker="o", color=_COLOURS[name], label=name)
        axes.set_xscale("log")
        axes.set_xticks(curve["at"], [_short(size) for size in curve["at"]])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel(curve["of_what"])
    panels[0].set_ylabel("µs an event")
    panels[0].legend(frameon=False)
    return figure


def _short(size: int) -> str:
    for unit, name in ((1_000_000, "M"), (1000, "k")):
        if size >= unit:
            return f"{size / unit:g} {name}"
    return str(size)
