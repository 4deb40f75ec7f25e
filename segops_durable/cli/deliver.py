"""`drain`: send everything now, and show how it goes."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from segops_durable.cli.command import FAILED, tell
from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.output import print_json
from segops_durable.client import SegOpsClient
from segops_durable.errors import StorageError
from segops_durable.status import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.errors import SegOpsError
    from segops_durable.options import Options
    from segops_durable.status import Stats

_STEP_SECONDS = 0.25
_PATIENCE_SECONDS = 1.0
"""Between two rounds that send nothing, where --timeout leaves time for more."""


@dataclass(frozen=True)
class Drained:
    """How a drain ended."""

    sent: int
    waiting: int
    dead: int
    seconds: float
    state: str
    error: str | None


@click.command()
@click.option("--batch-size", default=500, show_default=True, help="Events in a request, 1 to 500.")
@click.option("--timeout", type=float, help="Seconds at most. Defaults to as long as it goes on.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@configured
def drain(
    batch_size: int,
    timeout: float | None,
    as_json: bool,
    config_file: str | None,
    **given: Any,
) -> None:
    """Send everything that waits, now. Status 1 if something is left.

    It works beside a running client: if that one is the sender, this one watches, and takes
    over if it ends. Without --timeout it stops once a whole round has sent nothing.

    \b
    Example:
      segops-durable drain --timeout 600
    """
    configuration = Configuration(given, config_file)
    errors: list[SegOpsError] = []
    options = replace(
        configuration.options(batch_size=batch_size, on_error=errors.append),
        queue_path=configuration.outbox_path(),
    )
    result = _drain(options, timeout, errors, is_shown=not as_json)
    if as_json:
        print_json(vars(result))
    else:
        _tell(result)
    if result.waiting or result.dead:
        sys.exit(FAILED)


def deliver(configuration: Configuration, *, timeout: float | None) -> int:
    """Send what waits; return how many events still do, or were refused."""
    errors: list[SegOpsError] = []
    options = replace(
        configuration.options(on_error=errors.append), queue_path=configuration.outbox_path()
    )
    result = _drain(options, timeout, errors, is_shown=False)
    if result.waiting or result.dead:
        _tell(result)
    return result.waiting + result.dead


def _drain(
    options: Options, timeout: float | None, errors: list[SegOpsError], *, is_shown: bool
) -> Drained:
    start = time.monotonic()
    client = SegOpsClient.of(replace(options, shutdown_timeout=0.0))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} a second"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with client, Progress(*columns, console=console, disable=not is_shown) as progress:
        before = stats = client.stats()
        task = progress.add_task("sending", total=before.pending, rate="0")

        def show() -> Stats:
            now = client.stats()
            sent = max(0, now.accepted_total - before.accepted_total)
            rate = f"{sent / max(0.001, time.monotonic() - start):,.0f}"
            is_other = now.state is State.STANDBY
            what = "another process is sending" if is_other else "sending"
            total = sent + now.pending
            progress.update(task, completed=sent, total=total, rate=rate, description=what)
            return now

        while stats.pending:
            left = None if timeout is None else start + timeout - time.monotonic()
            if left is not None and left <= 0:
                break
            last, stats = stats, _flush(client, left, show)
            if stats.accepted_total > last.accepted_total:
                continue
            if left is None:
                break  # a whole round has sent nothing
            threading.Event().wait(min(_PATIENCE_SECONDS, max(0.0, left)))
    tell(error for error in errors if isinstance(error, StorageError))
    return Drained(
        sent=max(0, stats.accepted_total - before.accepted_total),
        waiting=stats.pending,
        dead=max(0, stats.dead - before.dead),
        seconds=round(time.monotonic() - start, 3),
        state=stats.state.value,
        error=str(errors[-1]) if errors else None,
    )


def _flush(client: SegOpsClient, timeout: float | None, show: Callable[[], Stats]) -> Stats:
    """Flush once, and show how it goes meanwhile; return how it stands then."""
    flushing = threading.Thread(target=client.flush, args=(timeout,), name="segops-drain")
    flushing.start()
    while flushing.is_alive():
        flushing.join(_STEP_SECONDS)
        show()
    return show()


def _tell(result: Drained) -> None:
    click.echo(f"{result.sent} sent in {result.seconds:.1f} s, {result.waiting} wait", err=True)
    if result.dead:
        click.echo(f"{result.dead} were refused: see `segops-durable dead list`", err=True)
    if result.waiting:
        click.echo(result.error or f"The client is {result.state}.", err=True)
