"""The options of `import`: how files are read, and the job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

import click

from segops_durable.cli.commands.field_options import FIELD_OPTIONS, with_options
from segops_durable.cli.commands.import_outlook import PLANS
from segops_durable.cli.commands.sending_options import sending_options
from segops_durable.cli.pairs import name_and_value
from segops_durable.intake.imports import FORMATS, FileOptions

if TYPE_CHECKING:
    from collections.abc import Callable

_F = TypeVar("_F", bound="Callable[..., Any]")

_FILE_OPTIONS = (
    click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        help="Defaults to what its first bytes or name say.",
    ),
    click.option(
        "--delimiter", metavar="CHAR", help="Of CSV. Defaults to what divides its header."
    ),
    click.option("--quote", metavar="CHAR", default='"', help="Of CSV; none for none."),
    click.option("--encoding", metavar="NAME", help="Of texts. Defaults to its mark's, or UTF-8."),
    click.option(
        "--max-record-lines",
        type=click.IntRange(1),
        default=1000,
        show_default=True,
        help="Lines that a record of CSV may span.",
    ),
    click.option("--text", "is_text", is_flag=True, help="Leave values of CSV as texts."),
)


_JOB_OPTIONS = (
    click.option("--dry-run", is_flag=True, help="Show what would come of it, and store nothing."),
    click.option(
        "--plan", type=click.Choice(list(PLANS)), help="Whose rates --dry-run reckons with."
    ),
    click.option(
        "--restart",
        is_flag=True,
        help="Begin anew; what is stored is stored once more. If it was killed: go on without it.",
    ),
    click.option(
        "--rejected",
        multiple=True,
        metavar="FILE",
        help="A file of rejects that was mended: stores what was not stored of it.",
    ),
    click.option("--wait", is_flag=True, help="Wait until a directory has its _SUCCESS."),
    click.option(
        "--allow-incomplete",
        is_flag=True,
        help="Take the files of a directory that are there, though it has no _SUCCESS.",
    ),
    click.option(
        "--storage-option",
        "storage",
        multiple=True,
        metavar="NAME=VALUE",
        help="Of the file system of a URL, as fsspec takes it; VALUE as JSON, or a text.",
    ),
    click.option("--rejects", metavar="FILE", help="Bad lines. Defaults to <FILE>.rejects.jsonl."),
    click.option(
        "--max-errors", type=click.IntRange(0), help="Bad lines allowed. Defaults to any."
    ),
    click.option(
        "--job", metavar="NAME", help="Find the place by a name, not by what the file holds."
    ),
    click.option(
        "--send",
        is_flag=True,
        help="Send while reading, and then all that waits; pause while too much does.",
    ),
)


_MOST_WAITING = click.option(
    "--max-queue-events",
    type=click.IntRange(1),
    metavar="N",
    help="Events that may wait: with --send the import pauses meanwhile. Defaults to 100,000 "
    "with --send, and without to no limit.",
)


def reading_options(command: _F) -> _F:
    """Add to a command how files are read, and what is made of their records."""
    return with_options((*FIELD_OPTIONS, *_FILE_OPTIONS), command)


def job_options(command: _F) -> _F:
    """Add to a command what is done with the files, and how much of it."""
    return with_options((*_JOB_OPTIONS, *sending_options("With --send: "), _MOST_WAITING), command)


def file_options_of(given: dict[str, Any]) -> FileOptions:
    """Make options of what was given, and take it out of there.

    Raises:
        ConfigurationError: They cannot be.
    """
    return FileOptions(
        delimiter=given.pop("delimiter"),
        quote=given.pop("quote"),
        encoding=given.pop("encoding"),
        max_record_lines=given.pop("max_record_lines"),
        allow_incomplete=given.pop("allow_incomplete"),
        storage_options=_storage_options(given.pop("storage")),
    )


def _storage_options(pairs: tuple[str, ...]) -> dict[str, Any] | None:
    """What a file system is made with: numbers, truths and objects as JSON has them."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, value = name_and_value(pair) or ("", "")
        if not name:  # what was given may be a secret, and is not shown
            raise click.UsageError("--storage-option must be NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found or None
