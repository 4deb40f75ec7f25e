"""The group that all commands belong to, and what becomes of an error: words and a status."""

from __future__ import annotations

import sqlite3
import zlib
from typing import TYPE_CHECKING, Any

import click

from segops_durable._version import __version__
from segops_durable.errors import ConfigurationError, InvalidEventError, SegOpsError

if TYPE_CHECKING:
    from collections.abc import Iterable

FAILED = 1
"""The exit status when something waits, or failed; 2 is click's own, for wrong usage."""


class Commands(click.Group):
    """A group that lists its commands in their order, and tells errors in a sentence or two."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order in which they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a wrong option or event is wrong usage, the rest a failure."""
        try:
            return super().invoke(ctx)
        except (ConfigurationError, InvalidEventError) as error:
            raise click.UsageError(str(error)) from error
        except (SegOpsError, OSError, sqlite3.Error, zlib.error) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="segops-durable")
def run() -> None:
    """Keep SegOps events on disk until SegOps has accepted them.

    Exit status: 0 if all is well and nothing that had to be sent waits, 1 if something waits
    or failed, 2 if the command was used wrongly.

    \b
    Example:
      segops-durable status --help
    """


def tell(errors: Iterable[SegOpsError]) -> None:
    """Say what happened on the side, on standard error."""
    for error in errors:
        click.echo(f"Note: {error}", err=True)
