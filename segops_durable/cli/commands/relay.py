"""`relay`: SegOps' own paths on this machine, for every SDK."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from segops_durable.cli.command import FAILED, RELAY_EXTRA
from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.output import say


def _listening(command: Any) -> Any:
    for option in (
        click.option("--listen", metavar="HOST:PORT", help="Where to listen."),
        click.option("--socket", metavar="FILE", help="A Unix socket to listen on instead."),
    ):
        command = option(command)
    return command


@click.command()
@_listening
@configured
def relay(config_file: str | None, listen: str | None, socket: str | None, **given: Any) -> None:
    """Take events of every SDK on this machine, and send them.

    \b
    Example:
      segops-durable relay
      segops-durable relay --socket /run/segops/relay.sock
    """
    try:
        from segops_durable.relay import Relay, RelaySettings  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError:
        raise click.ClickException(RELAY_EXTRA) from None
    configuration = Configuration(given, config_file)
    chosen: dict[str, Any] = {}
    if listen:
        chosen["listen"] = listen
    if socket:
        chosen["socket"] = Path(socket)
    found = Relay(configuration.options(), RelaySettings(**chosen))
    result = found.run(lambda url: say(f"SegOps relay on {url} - Ctrl-C stops it"))
    say(f"{result.pending} wait", err=True)
    if result.pending:
        sys.exit(FAILED)
