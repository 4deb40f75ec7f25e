"""`demo`: the demonstration."""

from __future__ import annotations

import sys

import click

from segops_durable.cli.command import SANDBOX_EXTRA


@click.command()
def demo() -> None:
    """Watch 2,000 events survive.

    A producer process is killed with SIGKILL twice while the server is taken away and brought
    back failing. Exit status 1 if anything is lost.

    \b
    Example:
      segops-durable demo
    """
    try:
        from segops_durable.cli.demo import run_demo  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError:
        raise click.ClickException(SANDBOX_EXTRA) from None
    sys.exit(0 if run_demo() else 1)
