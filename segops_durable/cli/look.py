"""`status`, `peek` and `config`: looking, without changing anything."""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from segops_durable.cli.command import FAILED
from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.output import duration, moment, print_json, print_table, size
from segops_durable.cli.prometheus import exposition
from segops_durable.cli.station import opened_outbox
from segops_durable.identity import name_of

if TYPE_CHECKING:
    from segops_durable.outbox import Outbox

_WATCH_SECONDS = 1.0


@click.command()
@click.option("--watch", is_flag=True, help="Show it anew every second, until Ctrl-C.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "prometheus"]),
    default="text",
    show_default=True,
    help="prometheus is for node_exporter's textfile collector.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--max-age", type=float, metavar="SECONDS", help="Status 1 if an event waits longer.")
@click.option("--max-waiting", type=int, metavar="COUNT", help="Status 1 if more events wait.")
@configured
def status(
    watch: bool,
    form: str,
    as_json: bool,
    max_age: float | None,
    max_waiting: int | None,
    config_file: str | None,
    **given: Any,
) -> None:
    """Say how the outbox stands. With a limit it is a health check.

    \b
    Example:
      segops-durable status --max-age 3600 --max-waiting 100000
      segops-durable status --format prometheus > /var/lib/node_exporter/segops.prom
    """
    with opened_outbox(Configuration(given, config_file)) as outbox:
        if watch:
            _watch(outbox)
            return
        found = how_it_stands(outbox)
    if as_json or form == "json":
        print_json(found)
    elif form == "prometheus":
        click.echo(exposition(found), nl=False)
    else:
        Console(highlight=False).print(_table(found))
    problems = _problems(found, max_age, max_waiting)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        sys.exit(FAILED)


@click.command()
@click.option("--limit", default=10, show_default=True, help="Events at most.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
@configured
def peek(
    limit: int,
    as_json: bool,
    config_file: str | None,
    **given: Any,
) -> None:
    """Show the oldest waiting events.

    They are shown as they will be sent.

    \b
    Example:
      segops-durable peek --limit 3
    """
    with opened_outbox(Configuration(given, config_file)) as outbox:
        rows = outbox.peek(limit)
    for row in rows:
        event = json.loads(row.data) if row.is_intact else None
        if as_json:
            print_json({"id": row.id, "identity": name_of(row.identity), "event": event})
    if not as_json and rows:
        texts = [row.data.decode(errors="replace") for row in rows]
        print_table(
            ("id", "tracked", "event"),
            [
                (row.id, moment(row.moment.wall), text)
                for row, text in zip(rows, texts, strict=True)
            ],
        )
    if not rows:
        click.echo("Nothing waits.", err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@configured
def config(
    as_json: bool,
    config_file: str | None,
    **given: Any,
) -> None:
    """Show the settings and their sources.

    Keys are masked. Options win over the environment (SEGOPS_API_URL, SEGOPS_API_KEY,
    SEGOPS_QUEUE_PATH, …), and that over a TOML file, whose settings have the names shown here.

    \b
    Example:
      segops-durable config
    """
    configuration = Configuration(given, config_file)
    shown = configuration.shown()
    path = configuration.outbox_path()
    if as_json:
        settings = {name: vars(each) for name, each in shown.items()}
        print_json({"file": configuration.file, "outbox": path, "settings": settings})
        return
    rows = [(name, each.value, each.source) for name, each in shown.items()]
    if rows:
        print_table(("setting", "value", "from"), rows)
    is_there = "" if configuration.file.exists() else " (it is not there)"
    click.echo(f"\nSettings file: {configuration.file}{is_there}")
    click.echo(f"Outbox: {path}{'' if path.exists() else ' (it is not there yet)'}")


def how_it_stands(outbox: Outbox) -> dict[str, Any]:
    """Everything that is known of an outbox, by name."""
    counts = outbox.counts()
    age = None if counts.oldest_at is None else max(0.0, time.time() - counts.oldest_at)
    return {
        "outbox": str(outbox.path),
        "waiting": counts.pending,
        "oldest_age_seconds": None if age is None else round(age, 3),
        "dead": counts.dead,
        "queue_bytes": counts.queue_bytes,
        "accepted_total": counts.accepted_total,
        "dropped_total": counts.dropped_total,
        "lost_total": counts.lost_total,
        "last_accepted_at": moment(counts.last_accepted_at),
        "sender": outbox.sender_note(),
    }


def _table(found: dict[str, Any]) -> Table:
    sender = found["sender"]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(overflow="fold")
    rows = {
        "outbox": found["outbox"],
        "waiting": f"{found['waiting']:,}",
        "oldest": duration(found["oldest_age_seconds"]),
        "dead letters": f"{found['dead']:,}",
        "file size": size(found["queue_bytes"]),
        "accepted, ever": f"{found['accepted_total']:,}",
        "dropped, ever": f"{found['dropped_total']:,}",
        "lost to damage, ever": f"{found['lost_total']:,}",
        "last accepted": found["last_accepted_at"] or "never",
        "sent by": "nobody now" if sender is None else f"process {sender.get('pid', 'unknown')}",
        "state": "no client runs" if sender is None else sender.get("state", "starting"),
        "last error": (sender or {}).get("last_error") or "none",
    }
    for name, value in rows.items():
        table.add_row(name, escape(str(value)))
    return table


def _watch(outbox: Outbox) -> None:
    """Show the table anew every second: in its place, or one after the other in a file."""
    console = Console(highlight=False)
    pause = threading.Event()
    with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        while True:
            table = _table(how_it_stands(outbox))
            if console.is_terminal:
                live.update(table, refresh=True)
            else:
                console.print(table)
            pause.wait(_WATCH_SECONDS)


def _problems(found: dict[str, Any], max_age: float | None, max_waiting: int | None) -> list[str]:
    problems = []
    age = found["oldest_age_seconds"]
    if max_age is not None and age is not None and age > max_age:
        problems.append(f"The oldest event has waited {duration(age)}, {duration(max_age)} allowed")
    if max_waiting is not None and found["waiting"] > max_waiting:
        problems.append(f"{found['waiting']:,} events wait, {max_waiting:,} allowed")
    return problems
