"""How commands print: JSON for programs, tables for people.

A terminal has tables that fold to its width; a pipe or a file gets one record a line, whatever
``COLUMNS`` says, with tabs between the columns.

Whatever is printed may quote a server, an event or a file's name. So all of it goes through
here, where what a terminal would obey is made visible, and markup is none.
"""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress, ProgressColumn
from rich.table import Table
from rich.text import Text

from segops_durable.errors.plain_text import json_text, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def say(*lines: str, err: bool = False) -> None:
    """Print lines of text."""
    for line in lines:
        click.echo(visible(line), err=err)


def print_json(document: object, *, indent: int | None = None) -> None:
    """Print a value as JSON, on one line unless it is indented."""
    encoding = getattr(sys.stdout, "encoding", "") or ""
    is_ascii = not encoding.lower().startswith("utf")  # what has not the letter has its escape
    click.echo(json_text(document, indent=indent, is_ascii=is_ascii))


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows: for people on a terminal, for programs elsewhere."""
    if not is_terminal():
        for row in (header, *rows):
            click.echo("\t".join("" if each is None else visible(str(each)) for each in row))
        return
    table = Table(box=None, pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold")  # a path that is cut is of no use
    for row in rows:
        table.add_row(*("" if each is None else plain(each) for each in row))
    Console(highlight=False).print(table)


def print_pairs(pairs: Mapping[str, object]) -> None:
    """Print names and values: a value that is too wide for a terminal is folded there."""
    if not is_terminal():
        width = max(map(len, pairs))
        say(*(f"{name:{width}}  {value}" for name, value in pairs.items()))
        return
    Console(highlight=False).print(pairs_as_table(pairs))


def pairs_as_table(pairs: Mapping[str, object]) -> Table:
    """Names and values, as a terminal shows them."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in pairs.items():
        table.add_row(name, plain(value))
    return table


def is_terminal() -> bool:
    """Whether people read standard output; what the environment says of colours is not asked."""
    return sys.stdout is not None and sys.stdout.isatty()  # a daemon has closed it


def bars_on_stderr(*columns: ProgressColumn, is_shown: bool) -> Progress:
    """Bars of progress; in a log they would be lines of noise, and there are none."""
    is_shown = is_shown and sys.stderr is not None and sys.stderr.isatty()
    return Progress(*columns, console=Console(stderr=True), disable=not is_shown)


def plain(value: object) -> Text:
    """A value as rich prints it, and no more: no markup, no emoji, nothing obeyed."""
    return Text(visible(str(value)))


def duration(seconds: float | None) -> str:
    """A span of time, as people say it."""
    if seconds is None:
        return "none"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h" if seconds < _DAY else f"{seconds / _DAY:.1f} days"


def moment(unix_time: float | None) -> str | None:
    """A time in UTC, as ISO 8601."""
    if unix_time is None:
        return None
    return datetime.fromtimestamp(unix_time, timezone.utc).isoformat(timespec="seconds")
