"""`import`: the events of files, stored as a job that may be killed and run again."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from segops_durable.cli.command import FAILED
from segops_durable.cli.commands.field_options import field_map_of
from segops_durable.cli.commands.import_files import opened_sources, rejects_file
from segops_durable.cli.commands.import_options import (
    file_options_of,
    job_options,
    reading_options,
)
from segops_durable.cli.commands.import_outlook import show_outlooks, tell_notes
from segops_durable.cli.commands.import_progress import progress_bars
from segops_durable.cli.commands.import_sending import Sending, sending
from segops_durable.cli.commands.import_summary import (
    counts_of,
    noting,
    plans_of,
    tell_sent,
    tell_total,
)
from segops_durable.cli.commands.sending_options import client_options_of
from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.interruption import terminated_in_order
from segops_durable.cli.output import print_json, say
from segops_durable.cli.workspace import opened_outbox, workspace
from segops_durable.client import Options
from segops_durable.errors import ChangedFileError, ConfigurationError, SegOpsError
from segops_durable.intake.imports import DryRun, FieldMap, Importer, ImportResult
from segops_durable.system.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from segops_durable.cli.draining import Drained
    from segops_durable.intake.imports import Prepared, Source

_COUNTED = ("stored", "rejected", "stored_before", "rejected_before")


class _Task(NamedTuple):
    """What a call is to import."""

    sources: list[Source]
    mended: list[Path]
    rejects: str | None
    max_errors: int | None
    job: str | None
    is_restart: bool
    as_json: bool


@click.command(name="import")
@click.argument("files", nargs=-1, metavar="FILE...")
@reading_options
@job_options
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@configured
def import_(
    files: tuple[str, ...],
    form: str | None,
    dry_run: bool,
    plan: str | None,
    restart: bool,
    rejected: tuple[str, ...],
    wait: bool,
    rejects: str | None,
    max_errors: int | None,
    job: str | None,
    send: bool,
    as_json: bool,
    config_file: str | None,
    **given: Any,
) -> None:
    """Store the events of files.

    JSON Lines, CSV and Parquet are read, texts also compressed (gzip, bzip2, xz, zstd, whatever
    the name); - is standard input. Columns that are called user_id, event_type, occurred_at,
    anonymous_id and payload are taken as such, or those that --map names; all others go into
    the payload. What each FILE is taken for is said first; what cannot be meant is refused with
    status 2, before anything of any FILE is stored.

    A directory with a _SUCCESS, as Spark and Hive write it, is one import of its parts; what
    directories are called, day=2026-01-31, are columns.

    Killed at any instant and run again, it goes on where it was; no line is queued twice or
    missed. The place belongs to what the file holds and to the options: a copy is known, and a
    file that was edited, or is to be read otherwise, is refused; --restart begins anew. Standard
    input needs a --job for that.

    With --send it sends while it reads, pauses while --max-queue-events wait, and ends once
    nothing waits, or SegOps takes nothing more: what is imported stays, and the same command
    goes on. A Ctrl-C or a SIGTERM ends it in order.

    Bad lines go to a file, and can be mended in it and imported with --rejected and the same
    options. Status 1 if lines were rejected, now or before, until they are mended and imported
    or their file is removed; or, with --send, if something waits or was refused.

    \b
    Example:
      segops-durable import sales.csv.gz --map user_id=email --dry-run
      segops-durable import sales.csv.gz --map user_id=email
      segops-durable import --rejected sales.csv.gz.rejects.jsonl --map user_id=email
      segops-durable import users.parquet --type identify --send
    """
    field_map = field_map_of(given)
    _check(files, rejected, job, plan, is_dry=dry_run)
    options = file_options_of(given)
    sent_with = client_options_of(given)
    configuration = Configuration(given, config_file)
    sources = [
        each for file in files for each in opened_sources(file, form, options, is_awaited=wait)
    ]
    mended = [Path(each) for each in rejected]
    task = _Task(sources, mended, rejects, max_errors, job, restart, as_json)
    if dry_run:
        is_bad = _look(configuration, field_map, task, plan)
    else:
        is_bad = _import(configuration, field_map, task, sent_with if send else None)
    if is_bad:
        sys.exit(FAILED)


def _check(
    files: tuple[str, ...],
    rejected: tuple[str, ...],
    job: str | None,
    plan: str | None,
    *,
    is_dry: bool,
) -> None:
    if not files and not rejected:
        raise click.UsageError("Missing argument 'FILE...'")
    if job is not None and len(files) > 1:
        raise click.UsageError("--job is for one file")
    if plan is not None and not is_dry:
        raise click.UsageError("--plan is for --dry-run")
    if rejected and is_dry:
        raise click.UsageError("--dry-run is for FILEs, not for --rejected")
    for each in rejected:
        if not Path(each).is_file():
            raise ConfigurationError(f"there is no file {each}", field="rejected")


def _look(configuration: Configuration, field_map: FieldMap, task: _Task, plan: str | None) -> bool:
    """Show what would come of files; say whether some of it would be rejected."""
    largest = configuration.value("max_event_bytes", Options.max_event_bytes)

    def look(outbox: Any) -> list[Any]:
        run = DryRun(outbox, Clock(), field_map, int(largest))
        with _refusals():
            return [run.run(each, task.job, is_restart=task.is_restart) for each in task.sources]

    if _is_there(configuration):
        with opened_outbox(configuration) as outbox:
            outlooks = look(outbox)
    else:
        outlooks = look(None)
    show_outlooks(outlooks, plan, as_json=task.as_json)
    return any(each.rejected for each in outlooks)


def _import(
    configuration: Configuration,
    field_map: FieldMap,
    task: _Task,
    client_options: Mapping[str, Any] | None,
) -> bool:
    """Import files, and say how it went; return whether anything is not as it should be.

    Args:
        configuration: Where to.
        field_map: Which column is what.
        task: What is to be imported.
        client_options: What it is sent with; None if it is not to be sent.
    """
    drained: Drained | None = None
    bad: list[str] = []
    with (
        terminated_in_order(),
        _importing(configuration, field_map, task.max_errors, client_options) as (importer, sender),
    ):
        with _refusals():  # all are looked at before the first is stored
            prepared = [
                importer.prepare(each, task.job, is_restart=task.is_restart)
                for each in task.sources
            ]
            for path in task.mended:
                importer.repairs.check(path)
        with _stops_told(importer, sender):
            # what is mended now is no more among what the files' own imports had rejected
            results = [importer.repairs.run(path, noting(path, bad)) for path in task.mended]
            results += _run(importer, prepared, task)
            if sender is not None:
                drained = sender.finished(is_shown=not task.as_json)
    total = {name: sum(getattr(each, name) for each in results) for name in _COUNTED}
    notes: Counter[str] = Counter()
    for each in results:
        notes.update(each.notes)
    if task.as_json:
        print_json({**total, "notes": dict(notes), **counts_of(drained)})
    else:
        names = dict.fromkeys(str(rejects_file(each, task.rejects)) for each in task.sources)
        tell_total(total, bad, names)
        tell_notes(notes)
        tell_sent(drained)
    torn = [source.name for source in task.sources if source.is_incomplete]
    for name in torn:
        say(f"The last line of {name} is not complete: import it again", err=True)
    is_left = drained is not None and bool(drained.waiting or drained.dead)
    return bool(total["rejected"] or total["rejected_before"] or torn or is_left)


@contextmanager
def _stops_told(importer: Importer, sender: Sending | None) -> Iterator[None]:
    """Say how far an import has come that is stopped, by whatever it is."""
    try:
        yield
    except (SegOpsError, OSError, KeyboardInterrupt):
        standing = "" if sender is None else f"; {sender.standing()}"
        say(
            f"Stopped: {importer.stored:,} stored{standing}. The same command goes on from there",
            err=True,
        )
        raise


def _run(importer: Importer, prepared: Sequence[Prepared], task: _Task) -> list[ImportResult]:
    if not task.as_json:
        for line in plans_of(prepared):
            say(line, err=True)
    results = []
    with progress_bars(is_shown=bool(prepared) and not task.as_json) as follow:
        for each in prepared:
            path = rejects_file(each.source, task.rejects)
            results.append(importer.run(each, path, follow(each.source)))
    return results


@contextmanager
def _refusals() -> Iterator[None]:
    """Let what is refused before anything was stored be wrong usage."""
    try:
        yield
    except ChangedFileError as error:
        raise click.UsageError(str(error)) from error


@contextmanager
def _importing(
    configuration: Configuration,
    field_map: FieldMap,
    max_errors: int | None,
    client_options: Mapping[str, Any] | None,
) -> Iterator[tuple[Importer, Sending | None]]:
    """Yield what imports: beside a client that sends, or into the outbox alone."""
    if client_options is not None:
        with sending(configuration, client_options) as sender:
            importer = sender.client.importer(field_map, max_errors)
            importer.is_worth_waiting = sender.is_worth_waiting
            yield importer, sender
        return
    with workspace(configuration) as target:
        importer = Importer(
            target.outbox,
            target.intake,
            target.listener,
            target.clock,
            field_map=field_map,
            max_rows=target.options.max_queue_events,
            max_errors=max_errors,
        )
        yield importer, None


def _is_there(configuration: Configuration) -> bool:
    try:
        return configuration.outbox_path().exists()
    except ConfigurationError:  # no key, or several outboxes: an import needs to know which
        return False
