"""`run`: a sender that stands by itself, for programs that only append."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from segops_durable.cli.command import FAILED
from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.hours import Hours, at_hours, may_send_at
from segops_durable.cli.service.logs import set_up, writes_log
from segops_durable.cli.service.manager import Manager
from segops_durable.cli.service.reloading import Reloading, Settings
from segops_durable.cli.service.sending import send_until_told
from segops_durable.cli.service.signals import hear_reloads

if TYPE_CHECKING:
    from segops_durable.client import Options


@click.command("run")
@click.option(
    "--timeout",
    type=float,
    help="Seconds for the last effort to send, at its end. Defaults to shutdown_timeout.",
)
@at_hours
@writes_log
@configured
def run_alone(
    timeout: float | None,
    only_between: tuple[Hours, ...],
    log_format: str,
    config_file: str | None,
    **given: Any,
) -> None:
    """Send what waits, and what other processes append, until it is told to end.

    For programs that only append (sends=False), as a web server's workers, and for a service
    manager. Beside another process that sends, it waits for that one's place. SIGTERM and Ctrl-C
    end it after one last effort, with status 1 if something is left. SIGHUP has it read the
    settings again: a new key is used at once.

    \b
    Example:
      segops-durable run --config /etc/segops-durable.toml
      segops-durable run --log-format json --only-between 22:00-05:00
    """
    early = hear_reloads()
    set_up(log_format)

    def configuration() -> Configuration:
        return Configuration(given, config_file)

    before = configuration()
    may_send = may_send_at(only_between)
    result = send_until_told(
        before.options_of_outbox(sends=True, may_send=may_send),
        Manager(),
        Reloading(lambda: _read(configuration()), _read(before)),
        early,
        timeout=timeout,
    )
    if result.pending or result.dead:
        sys.exit(FAILED)


def _read(configuration: Configuration) -> Settings:
    options: Options = configuration.options(sends=True)
    return Settings(options, {})
