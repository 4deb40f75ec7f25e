"""`config`: what is set, and where it comes from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.elsewhere import as_document, leftovers, tell_of_leftovers
from segops_durable.cli.output import (
    print_json,
    print_table,
    say,
)
from segops_durable.client import mistyped_variables
from segops_durable.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


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
    problems: list[ConfigurationError] = []
    configuration = Configuration(given, config_file, on_problem=problems.append)
    path: Path | None = None
    try:
        path = configuration.outbox_path()
    except ConfigurationError as error:  # a key that is malformed, say: the rest is shown
        problems.append(error)
    others = [] if path is None else leftovers(path)
    if as_json:
        settings = {name: vars(each) for name, each in configuration.shown().items()}
        print_json(
            {
                "file": configuration.file,
                "outbox": path,
                "settings": settings,
                "elsewhere": as_document(others),
                "problems": [str(each) for each in problems],
            }
        )
    else:
        _show_settings(configuration, path)
        tell_of_leftovers(configuration, others)
    for each in problems[1:]:
        say(f"Note: {each}", err=True)
    if problems:
        raise problems[0]


def _show_settings(configuration: Configuration, path: Path | None) -> None:
    rows = [(name, each.value, each.source) for name, each in configuration.shown().items()]
    if rows:
        print_table(("setting", "value", "from"), rows)
    for variable, meant in mistyped_variables().items():
        say(f"Note: {variable} is none of ours. Is {meant} meant?", err=True)
    file = configuration.file
    is_there = "" if file is None or os.path.exists(file) else " (it is not there)"  # noqa: PTH110 - Path's own raises in a directory of somebody else
    say("", f"Settings file: {file or 'none, as this user has no home directory'}{is_there}")
    if path is not None:
        say(f"Outbox: {path}{'' if path.exists() else ' (it is not there yet)'}")
