"""`peek`: the next events, without changing anything."""

from __future__ import annotations

import json
from typing import Any

import click

from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.output import (
    moment,
    print_json,
    print_table,
    say,
)
from segops_durable.cli.workspace import opened_outbox
from segops_durable.identity import name_of, priority_of


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
        rows = outbox.waiting.peek(limit)
    for row in rows:
        event = json.loads(row.data) if row.is_intact else None
        if as_json:
            print_json(
                {
                    "id": row.id,
                    "identity": name_of(row.identity),
                    "priority": priority_of(row.identity),
                    "event": event,
                }
            )
    if not as_json and rows:
        texts = [row.data.decode(errors="replace") for row in rows]
        print_table(
            ("id", "tracked", "priority", "event"),
            [
                (row.id, moment(row.moment.wall), priority_of(row.identity), text)
                for row, text in zip(rows, texts, strict=True)
            ],
        )
    if not rows:
        say("Nothing waits.", err=True)
