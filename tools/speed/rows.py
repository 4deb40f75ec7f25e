"""What is claimed, and what was measured: a row each."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass
class Row:
    """A claim.

    Attributes:
        name: What it is called in the history.
        what: What is compared with what.
        target: What it has to reach.
        is_most: Whether the target is the most that it may be; else it is the least.
        unit: Behind the figure: empty for a ratio.
        rounds: What was measured, a figure for each round.
        note: What has to be known of it.
    """

    name: str
    what: str
    target: float
    is_most: bool = False
    unit: str = ""
    rounds: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def median(self) -> float | None:
        """Of the rounds; None if it was not measured."""
        return statistics.median(self.rounds) if self.rounds else None

    @property
    def is_met(self) -> bool | None:
        """Whether the median reaches the target; None if it was not measured."""
        if self.median is None:
            return None
        return self.median <= self.target if self.is_most else self.median >= self.target

    def wanted(self) -> str:
        """The target, as a text."""
        return f"{'≤' if self.is_most else '≥'} {shown(self.target)}{self.unit}"

    def found(self) -> str:
        """The median, as a text."""
        return "-" if self.median is None else f"{shown(self.median)}{self.unit}"

    def spread(self) -> str:
        """The least and the most of the rounds, as a text."""
        return f"{shown(min(self.rounds))} to {shown(max(self.rounds))}" if self.rounds else ""


def shown(figure: float) -> str:
    """A figure with as many digits as say something."""
    if abs(figure) >= 100:  # noqa: PLR2004 - three digits
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if abs(figure) >= 10 else f"{figure:.2f}"  # noqa: PLR2004 - likewise


def claims() -> dict[str, Row]:
    """Every claim, by name, in the order of the table; nothing is measured yet."""
    rows = [
        Row("track", "`track`, 1 thread / a bare commit", 1.10, is_most=True),
        Row("put", "persist-queue `put` / `track`, 16 threads", 6),
        Row("put-slow", "the same with 10 ms added to each sync, as on an SD card", 10),
        Row(
            "live", 'official client (in memory) / `track`, `durability="normal"`, live server', 0.6
        ),
        Row("link", "official / `track`, 50 ms link", 10),
        Row("link-p99", "the same, 99th percentile of a call", 50),
        Row("drain-20", "drain at 20: `requests` loop / drain", 1.0),
        Row("drain-20-4", "the same, `max_in_flight=4`", 1.5),
        Row("drain-500", "drain at 500: `requests` loop / drain", 0.8),
        Row("drain-500-2", "the same, `max_in_flight=2`", 1.0),
        Row("drain-link", "drain at 20, 100 ms link, by 200 events a second", 0.9),
        Row("drain-link-8", "the same, `max_in_flight=8`, by 8 times that", 0.9),
        Row("many", "bare `executemany` / `track_many`", 0.8),
        Row("many-rate", "`track_many`, payloads as dicts", 150, unit=" k/s"),
        Row("import", "import of JSON Lines / bare `executemany`", 2, is_most=True),
        Row(
            "open",
            "open and first batch with many waiting: more than with none",
            20,
            is_most=True,
            unit=" ms",
        ),
        Row("open-rss", "the same, resident memory", 5, is_most=True, unit=" MB"),
        Row(
            "bytes",
            "bytes written for an event, one by one",
            4.6,
            is_most=True,
            unit=" KB",
        ),
        Row(
            "cpu",
            "CPU an event, tracked and delivered / (official + bare commit)",
            1.5,
            is_most=True,
        ),
        Row("requests", "requests at 1,000 events a second / (events / 20)", 1.1, is_most=True),
        Row(
            "requests-5000", "the same at 5,000 events a second, from 4 threads", 1.1, is_most=True
        ),
        Row(
            "requests-10",
            "the same at 10 events a second, without one request an interval of 5 s",
            1.1,
            is_most=True,
        ),
        Row(
            "offline",
            "bytes a second, offline, 1,000 waiting, nothing tracked",
            200,
            is_most=True,
            unit=" B/s",
        ),
        Row(
            "offline-hour",
            "the same in an hour, by a clock that goes 120 times as fast",
            100,
            is_most=True,
            unit=" KB",
        ),
        Row(
            "loop-gap",
            "a loop's longest gap, 1,000 `track` a second: more than without",
            5,
            is_most=True,
            unit=" ms",
        ),
        Row("import-time", "import time of `segops_durable` / `requests`", 1.3, is_most=True),
    ]
    return {row.name: row for row in rows}
