"""How commands print: JSON for programs, tables for people."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def print_json(document: object) -> None:
    """Print a value as a line of JSON."""
    click.echo(json.dumps(document, ensure_ascii=False, default=str))


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows for people."""
    table = Table(box=None, pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold")  # a path that is cut is of no use
    for row in rows:
        table.add_row(*("" if each is None else escape(str(each)) for each in row))
    Console(highlight=False).print(table)


def duration(seconds: float | None) -> str:
    """A span of time, as people say it."""
    if seconds is None:
        return "none"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h" if seconds < _DAY else f"{seconds / _DAY:.1f} days"


def size(count: int) -> str:
    """A number of bytes, as people say it."""
    for unit in ("bytes", "KiB", "MiB"):
        if abs(count) < 1 << 10:
            return f"{count} {unit}"
        count = round(count / (1 << 10))
    return f"{count} GiB"


def moment(unix_time: float | None) -> str | None:
    """A time in UTC, as ISO 8601."""
    if unix_time is None:
        return None
    return datetime.fromtimestamp(unix_time, timezone.utc).isoformat(timespec="seconds")
