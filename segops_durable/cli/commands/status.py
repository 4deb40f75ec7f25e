"""`status`: how an outbox stands, without changing anything."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.filesize import decimal
from rich.live import Live

from segops_durable.cli.command import FAILED, is_verbose
from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.elsewhere import as_document, leftovers, tell_of_leftovers
from segops_durable.cli.output import (
    duration,
    is_terminal,
    pairs_as_table,
    print_json,
    print_pairs,
    say,
)
from segops_durable.cli.prometheus import exposition
from segops_durable.cli.standing import CHAIN, how_it_stands
from segops_durable.cli.workspace import opened_outbox

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
    configuration = Configuration(given, config_file)
    with opened_outbox(configuration) as outbox:
        if watch:
            _watch(outbox)
            return
        found = how_it_stands(outbox)
        others = leftovers(outbox.path)
    found["elsewhere"] = as_document(others)
    if as_json or form == "json":
        print_json(found)
    elif form == "prometheus":
        click.echo(exposition(found).encode(), nl=False)  # UTF-8 by its format
    else:
        print_pairs(_pairs(found))
    tell_of_leftovers(configuration, others)
    problems = _problems(found, max_age, max_waiting)
    for problem in problems:
        say(problem, err=True)
    if problems:
        sys.exit(FAILED)


def _pairs(found: dict[str, Any]) -> dict[str, str]:
    sender = found["sender"]
    pairs = {
        "outbox": found["outbox"],
        "waiting": f"{found['waiting']:,}",
        "under a public key": f"{found['under_public_key']:,}",
        "oldest": duration(found["oldest_age_seconds"]),
        "dead letters": f"{found['dead']:,}",
        "file size": decimal(found["queue_bytes"]),
        "accepted, ever": f"{found['accepted_total']:,}",
        "dropped, ever": f"{found['dropped_total']:,}",
        "lost to damage, ever": f"{found['lost_total']:,}",
        "expired, ever": f"{found['expired_total']:,}",
        "last accepted": found["last_accepted_at"] or "never",
        "sent by": "nobody now" if sender is None else f"process {sender.get('pid', 'unknown')}",
        "state": "no client runs" if sender is None else sender.get("state", "starting"),
        "requests a minute": "no limit was learned"
        if found["requests_per_minute"] is None
        else f"{found['requests_per_minute']:g}, as was learned",
        "last error": (sender or {}).get("last_error") or "none",
    }
    if is_verbose() and (chain := (sender or {}).get(CHAIN)):
        pairs["what led to it"] = chain
    return pairs


def _watch(outbox: Outbox) -> None:
    """Show it anew every second: in its place, or one after the other in a file."""
    with suppress(KeyboardInterrupt):
        if not is_terminal():
            while True:
                print_pairs(_pairs(how_it_stands(outbox)))
                say("")
                time.sleep(_WATCH_SECONDS)
        with Live(console=Console(highlight=False), auto_refresh=False) as live:
            while True:
                live.update(pairs_as_table(_pairs(how_it_stands(outbox))), refresh=True)
                time.sleep(_WATCH_SECONDS)


def _problems(found: dict[str, Any], max_age: float | None, max_waiting: int | None) -> list[str]:
    problems = []
    age = found["oldest_age_seconds"]
    if max_age is not None and age is not None and age > max_age:
        problems.append(f"The oldest event has waited {duration(age)}, {duration(max_age)} allowed")
    if max_waiting is not None and found["waiting"] > max_waiting:
        problems.append(f"{found['waiting']:,} events wait, {max_waiting:,} allowed")
    return problems
