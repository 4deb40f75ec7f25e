"""`import`, `export` and `load`: events in files."""

from __future__ import annotations

import gzip
import os
import sys
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from segops_durable.cli.command import FAILED
from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.deliver import deliver
from segops_durable.cli.output import print_json
from segops_durable.cli.station import opened_outbox, station
from segops_durable.client import SegOpsClient
from segops_durable.errors import ConfigurationError
from segops_durable.importer import FORMATS, FieldMap, Importer, ImportResult, open_source
from segops_durable.outbox import Place, sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable.importer import Progress as Advance
    from segops_durable.importer import Source

_COUNTED = ("stored", "rejected", "stored_before")
_PAGE_LINES = 500
_BLOCK_SECONDS = 300.0
"""What --send waits for room in a full queue, unless overflow_timeout is set."""


@click.command(name="import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--map", "columns", multiple=True, metavar="FIELD=COLUMN", help="Which column it is.")
@click.option("--const", "constants", multiple=True, metavar="FIELD=VALUE", help="One for all.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["track", "identify"]),
    default="track",
    help="What records are.",
    show_default=True,
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="Defaults to what a name says.")
@click.option("--text", "is_text", is_flag=True, help="Leave values of CSV as texts.")
@click.option("--rejects", metavar="FILE", help="Bad lines. Defaults to <FILE>.rejects.jsonl.")
@click.option("--max-errors", type=click.IntRange(0), help="Bad lines allowed. Defaults to any.")
@click.option("--job", metavar="NAME", help="Find the place by a name, not by the file.")
@click.option("--send", is_flag=True, help="Send while reading; wait where the queue is full.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@configured
def import_(
    files: tuple[str, ...],
    columns: tuple[str, ...],
    constants: tuple[str, ...],
    kind: str,
    form: str | None,
    is_text: bool,
    rejects: str | None,
    max_errors: int | None,
    job: str | None,
    send: bool,
    as_json: bool,
    config_file: str | None,
    **given: Any,
) -> None:
    """Store the events of files.

    JSON Lines, CSV and Parquet are read, also compressed (.gz, .zst); - is standard input.
    Columns that are called user_id, event_type, occurred_at and payload are taken as such, or
    those that --map names; all others go into the payload. Killed at any instant and run again,
    it goes on where it was; no line is queued twice or missed. Standard input needs a --job for
    that. Status 1 if lines were rejected, or, with --send, if something waits.

    \b
    Example:
      segops-durable import sales.csv.gz --map user_id=email --const event_type=order_placed
      segops-durable import users.parquet --type identify --send
    """
    field_map = FieldMap(
        columns=_pairs("--map", columns),
        constants=_pairs("--const", constants),
        kind=kind,  # type: ignore[arg-type]  # click has checked it
    )
    if job is not None and len(files) > 1:
        raise click.UsageError("--job is for one file")
    configuration = Configuration(given, config_file)
    sources = [_source(file, form, is_text=is_text) for file in files]
    dead = _dead(configuration) if send else 0
    with (
        _importing(configuration, field_map, max_errors, is_sent=send) as run,
        _bars(is_shown=not as_json) as follow,
    ):
        results = [run(each, _rejects(each, rejects), job, follow(each)) for each in sources]
    waiting = deliver(configuration, timeout=None) if send else 0
    refused = _dead(configuration) - dead if send else 0
    if refused:
        click.echo(f"{refused} were refused: see `segops-durable dead list`", err=True)
    total = {name: sum(getattr(each, name) for each in results) for name in _COUNTED}
    if as_json:
        print_json(total)
    else:
        _tell(total, sources, rejects)
    for each in sources:
        if each.is_incomplete:
            click.echo(f"The last line of {each.name} is not complete: import it again", err=True)
            waiting += 1
    if total["rejected"] or waiting or refused > 0:
        sys.exit(FAILED)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--remove", is_flag=True, help="Remove from the outbox what is safely in FILE.")
@configured
def export(file: Path, remove: bool, config_file: str | None, **given: Any) -> None:
    """Write what waits to a file.

    It is to be carried to another device, and loaded there. JSON Lines; gzip if the name ends
    in .gz. With --remove the events leave this outbox once the file is on disk, so that a
    device that comes online after all does not send them too.

    \b
    Example:
      segops-durable export /media/usb/kiosk-7.jsonl.gz --remove
    """
    with opened_outbox(Configuration(given, config_file)) as outbox:
        if remove and not outbox.try_become_sender():
            raise click.ClickException(
                "a client that runs may be sending these events. Stop it, and export again"
            )
        last_id = outbox.counts().last_id
        with _new_file(file) as stream:
            count = sum(1 for line in outbox.exported(last_id) if stream.write(line))
        removed = outbox.remove_exported(last_id) if remove else 0
    what = f", {removed} removed here" if remove else ", which still wait here as well"
    click.echo(f"{count} exported to {file}{what}", err=True)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@configured
def load(file: Path, as_json: bool, config_file: str | None, **given: Any) -> None:
    """Store what export wrote.

    A FILE that is loaded twice, or in part and then again, is stored once.

    \b
    Example:
      segops-durable load /media/usb/kiosk-7.jsonl.gz && segops-durable drain
    """
    place = Place()
    with station(Configuration(given, config_file)) as target, _reading(file) as stream:
        while lines := list(islice(stream, _PAGE_LINES)):
            place = target.outbox.load(lines, place)
    if as_json:
        print_json({"loaded": place.loaded, "known": place.known})
    else:
        click.echo(f"{place.loaded} loaded, {place.known} were here already", err=True)


@contextmanager
def _importing(
    configuration: Configuration, field_map: FieldMap, max_errors: int | None, *, is_sent: bool
) -> Iterator[Callable[[Source, Path, str | None, Callable[[Advance], None]], ImportResult]]:
    """Yield what imports a source: beside a client that sends, or into the outbox alone."""
    if not is_sent:
        with station(configuration) as target:

            def run(
                source: Source, rejects: Path, job: str | None, follow: Callable[[Advance], None]
            ) -> ImportResult:
                importer = Importer(
                    target.outbox,
                    target.intake,
                    target.delivery,
                    target.clock,
                    field_map=field_map,
                    max_rows=target.options.max_queue_events,
                    max_errors=max_errors,
                    on_progress=follow,
                )
                return importer.run(source, rejects, job)

            yield run
        return
    options = replace(
        configuration.options(
            batch_size=500,
            overflow="block",
            overflow_timeout=configuration.value("overflow_timeout", _BLOCK_SECONDS),
            on_error=lambda _error: None,  # what still waits in the end is told of
        ),
        queue_path=configuration.outbox_path(),
        shutdown_timeout=0.0,
    )
    with SegOpsClient.of(options) as client:
        yield lambda source, rejects, job, follow: client.import_events(
            source,
            field_map=field_map,
            rejects=rejects,
            max_errors=max_errors,
            job=job,
            on_progress=follow,
        )


@contextmanager
def _bars(*, is_shown: bool) -> Iterator[Callable[[Source], Callable[[Advance], None]]]:
    """Yield what makes a progress bar for a source."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[lines]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not is_shown) as progress:

        def follow(source: Source) -> Callable[[Advance], None]:
            task: TaskID = progress.add_task(source.name, total=source.size, lines="")

            def advance(now: Advance) -> None:
                lines = f"{now.stored:,} stored, {now.rejected:,} rejected"
                progress.update(task, completed=now.consumed, lines=lines)

            return advance

        yield follow


def _dead(configuration: Configuration) -> int:
    if not configuration.outbox_path().exists():
        return 0
    with opened_outbox(configuration) as outbox:
        return outbox.counts().dead


def _source(file: str, form: str | None, *, is_text: bool) -> Source:
    if file == "-":
        return open_source(cast("IO[bytes]", sys.stdin.buffer), form, is_text=is_text)
    if not Path(file).is_file():
        raise ConfigurationError(f"there is no file {file}", field="files")
    return open_source(file, form, is_text=is_text)


def _rejects(source: Source, given: str | None) -> Path:
    if given is not None:
        return Path(given)
    return Path(f"{'stdin' if source.path is None else source.path}.rejects.jsonl")


def _pairs(option: str, pairs: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name or not value:
            raise click.UsageError(f"{option} must be FIELD=…, got {pair!r}")
        found[name] = value
    return found


def _tell(total: dict[str, int], sources: list[Source], rejects: str | None) -> None:
    before = total["stored_before"]
    text = f"{total['stored']:,} stored, {total['rejected']:,} rejected"
    click.echo(text + (f"; {before:,} had been stored before" if before else ""), err=True)
    if total["rejected"]:
        names = dict.fromkeys(str(_rejects(each, rejects)) for each in sources)
        click.echo(f"What was rejected, and why: {', '.join(names)}", err=True)


@contextmanager
def _new_file(file: Path) -> Iterator[IO[bytes]]:
    """Write a file that is there as a whole, on disk, or not at all."""
    partial = file.with_name(file.name + ".part")
    try:
        with partial.open("wb") as raw:
            if file.suffix == ".gz":
                with gzip.open(raw, "wb") as packed:
                    yield cast("IO[bytes]", packed)
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        partial.replace(file)
        sync_directory(file.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _reading(file: Path) -> Iterator[IO[bytes]]:
    with file.open("rb") as raw:
        if file.suffix == ".gz":
            with gzip.open(raw) as plain:
                try:
                    yield cast("IO[bytes]", plain)
                except EOFError as error:
                    raise click.ClickException(f"{file} is cut off: {error}") from error
        else:
            yield raw
