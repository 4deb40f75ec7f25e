"""`dead explain`: which events of a batch SegOps skipped, and why."""

from __future__ import annotations

import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

from segops_durable._version import __version__
from segops_durable.api import Exchange, HeaderAuth, Pacer, Rate, Turns
from segops_durable.cli.command import FAILED
from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.output import bars_on_stderr, print_json, print_table, say
from segops_durable.cli.workspace import opened_outbox
from segops_durable.delivery import Explaining
from segops_durable.errors import ConfigurationError
from segops_durable.system.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segops_durable.client import Options
    from segops_durable.delivery import Explanation
    from segops_durable.outbox import Outbox, SkippedBatch

PER_MINUTE = 30
"""Half of what SegOps' smallest plan allows: the client beside it sends as well."""


@click.command()
@click.argument("number", type=int, metavar="ID")
@click.option(
    "--per-minute",
    type=click.IntRange(1),
    default=PER_MINUTE,
    show_default=True,
    help="Requests a minute at most: each is one less for the client that sends.",
)
@click.option("--dry-run", is_flag=True, help="Say it, and leave the dead letters as they are.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each event.")
@configured
def explain(
    number: int,
    per_minute: int,
    dry_run: bool,
    as_json: bool,
    config_file: str | None,
    **given: Any,
) -> None:
    """Ask SegOps which events of a batch it skipped, and why. ID is any letter of that batch.

    SegOps says how many events of a batch it skipped, and not which. So each of them is asked
    about, one request an event, with the secret key. If as many do not fit their schema as were
    skipped, those become `refused`, with SegOps' words; all others were accepted, and leave the
    dead letters. Else nothing is changed, and the status is 1.

    \b
    Example:
      segops-durable dead explain 17
    """
    configuration = Configuration(given, config_file)
    options = configuration.options_of_outbox()
    if options.has_public_key:
        raise ConfigurationError(
            "SegOps says it only to a secret key (sk_…)",
            field="api_key",
            hint="Give one for this command: SEGOPS_API_KEY, and --queue-path for the outbox",
        )
    with opened_outbox(configuration, mends=True) as outbox:
        batch = _batch_of(outbox, number, options)
        found = _explained(
            batch, options, min(per_minute, options.max_requests_per_minute or per_minute)
        )
        if not dry_run:
            refused = {each: found.why[each] for each in found.refused}
            outbox.skipped.settle(refused, found.delivered)
    _tell(batch, found, as_json=as_json, is_dry=dry_run)
    if not found.is_clear:
        sys.exit(FAILED)


def _batch_of(outbox: Outbox, number: int, options: Options) -> SkippedBatch:
    if outbox.owner.api_url != options.api_url:
        raise ConfigurationError(
            f"the outbox is for {outbox.owner.api_url}, not for {options.api_url}",
            field="api_url",
        )
    batch = outbox.skipped.of(number)
    if batch is not None:
        return batch
    reason = next((each.reason for each in outbox.dead_letters if each.id == number), None)
    if reason is None:
        raise click.ClickException(f"there is no dead letter {number}")
    raise click.ClickException(
        f"dead letter {number} is of no batch of which SegOps skipped events: {reason}"
    )


def _explained(batch: SkippedBatch, options: Options, per_minute: int) -> Explanation:
    stop, clock = threading.Event(), Clock()
    exchange = Exchange(
        options.api_url,
        timeout=options.timeout,
        user_agent=f"segops-durable/{__version__}",
        turns=Turns(Pacer(Rate(per_minute), stop, clock)),
    )
    explaining = Explaining(
        exchange,
        HeaderAuth("ApiKey", options.api_key),
        max_retries=options.max_retries,
        stop=stop,
        clock=clock,
    )
    columns = (TextColumn("asking"), BarColumn(), MofNCompleteColumn())
    with closing(exchange), bars_on_stderr(*columns, is_shown=True) as progress:
        task = progress.add_task("asking", total=len(batch.letters))
        return explaining.explain(batch, lambda: progress.advance(task))


def _tell(batch: SkippedBatch, found: Explanation, *, as_json: bool, is_dry: bool) -> None:
    events = list(_events(batch, found))
    if as_json:
        for each in events:
            print_json(each)
    else:
        print_table(
            ("id", "outcome", "event_type", "why"),
            [(each["id"], each["outcome"], each["event_type"], each["why"]) for each in events],
        )
    if found.unclear:
        say(
            f"{batch.skipped} of {batch.size} were skipped, and {len(found.why)} do not fit: "
            "a schema was changed since, or a user_id was at fault. The unclear stay as they are",
            err=True,
        )
    if found.delivered:
        what = "would leave" if is_dry else "have left"
        say(f"{len(found.delivered)} were accepted, and {what} the dead letters", err=True)


def _events(batch: SkippedBatch, found: Explanation) -> Iterator[dict[str, Any]]:
    for letter in batch.letters:
        is_refused, is_delivered = letter.id in found.refused, letter.id in found.delivered
        yield {
            "id": letter.id,
            "outcome": "refused" if is_refused else "delivered" if is_delivered else "unclear",
            "event_type": (letter.event or {}).get("event_type"),
            "why": found.why.get(letter.id),
        }
