"""`drain`: send everything now, and show how it goes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from segops_durable.cli.command import FAILED, is_verbose
from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.draining import drained, tell_drained
from segops_durable.cli.elsewhere import leftovers, tell_of_leftovers
from segops_durable.cli.hours import Hours, at_hours, may_send_at
from segops_durable.cli.output import print_json

if TYPE_CHECKING:
    from segops_durable.errors import SegOpsError


@click.command()
@click.option("--batch-size", default=500, show_default=True, help="Events in a request, 1 to 500.")
@click.option(
    "--connections",
    type=click.IntRange(1, 64),
    help="Batches on their way at once, over as many connections. A crash may repeat so many of "
    "them, and they may arrive in another order. Defaults to max_in_flight.",
)
@click.option("--timeout", type=float, help="Seconds at most. Defaults to as long as it goes on.")
@at_hours
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@configured
def drain(
    batch_size: int,
    connections: int | None,
    timeout: float | None,
    only_between: tuple[Hours, ...],
    as_json: bool,
    config_file: str | None,
    **given: Any,
) -> None:
    """Send everything that waits, now. Status 1 if something is left.

    It works beside a running client: if that one is the sender, this one watches, and takes
    over if it ends. Without --timeout it stops once a whole round has sent nothing, as
    outside of the hours of --only-between; with it, it waits for them.

    \b
    Example:
      segops-durable drain --timeout 600
      segops-durable drain --only-between 22:00-05:00
    """
    configuration = Configuration(given, config_file)
    errors: list[SegOpsError] = []
    chosen = {} if connections is None else {"max_in_flight": connections}
    options = configuration.options_of_outbox(
        batch_size=batch_size,
        catch_up_batch_size=None,
        on_error=errors.append,
        may_send=may_send_at(only_between),
        **chosen,
    )
    result = drained(options, timeout, errors, is_shown=not as_json)
    if as_json:
        is_told = {"chain": is_verbose()}
        print_json({name: value for name, value in vars(result).items() if is_told.get(name, True)})
    else:
        tell_drained(result)
    tell_of_leftovers(configuration, leftovers(options.outbox_path))
    if result.waiting or result.dead:
        sys.exit(FAILED)
