"""The options of `import`: how files are read, what is made of their records, and the job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from segops_durable.cli.commands.import_outlook import PLANS
from segops_durable.cli.hours import at_hours
from segops_durable.cli.pairs import name_and_value
from segops_durable.intake.imports import FORMATS, Cast, FieldMap, FileOptions, Nan, TimeUnit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_F = TypeVar("_F", bound="Callable[..., Any]")

_READING_OPTIONS = (
    click.option(
        "--map", "columns", multiple=True, metavar="FIELD=COLUMN", help="Which column it is."
    ),
    click.option("--const", "constants", multiple=True, metavar="FIELD=VALUE", help="One for all."),
    click.option(
        "--type",
        "kind",
        type=click.Choice(["track", "identify"]),
        default="track",
        help="What records are.",
        show_default=True,
    ),
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
    click.option(
        "--cast",
        "casts",
        multiple=True,
        metavar="COLUMN=TYPE",
        help=f"What a column is: {', '.join(get_args(Cast))}.",
    ),
    click.option("--time-zone", metavar="ZONE", help="Of times that have none: Europe/Berlin."),
    click.option("--time-format", metavar="FORMAT", help="What times look like: %d.%m.%Y %H:%M."),
    click.option(
        "--time-unit",
        type=click.Choice(get_args(TimeUnit)),
        help="What times that are numbers count. Defaults to what their size says.",
    ),
    click.option(
        "--nan",
        type=click.Choice(get_args(Nan)),
        default="null",
        help="What becomes of NaN.",
        show_default=True,
    ),
    click.option(
        "--drop-column", "drop_columns", multiple=True, metavar="COLUMN", help="Not stored."
    ),
    click.option(
        "--hash-column",
        "hash_columns",
        multiple=True,
        metavar="COLUMN",
        help="Stored as its HMAC-SHA256, with the secret in SEGOPS_HASH_SECRET.",
    ),
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
    click.option(
        "--batch-size",
        type=click.IntRange(1, 500),
        default=500,
        show_default=True,
        help="With --send: events in a request.",
    ),
    click.option(
        "--connections",
        type=click.IntRange(1, 64),
        help="With --send: batches on their way at once, as of `drain`. Defaults to max_in_flight.",
    ),
    click.option(
        "--max-requests-per-minute",
        type=click.IntRange(1),
        metavar="N",
        help="With --send: requests a minute at most, to stay below a plan's rate.",
    ),
    at_hours,
    click.option(
        "--max-queue-events",
        type=click.IntRange(1),
        metavar="N",
        help="Events that may wait: with --send the import pauses meanwhile. Defaults to 100,000 "
        "with --send, and without to no limit.",
    ),
)


def reading_options(command: _F) -> _F:
    """Add to a command how files are read, and what is made of their records."""
    return _with(_READING_OPTIONS, command)


def job_options(command: _F) -> _F:
    """Add to a command what is done with the files, and how much of it."""
    return _with(_JOB_OPTIONS, command)


def _with(options: Iterable[Callable[[_F], _F]], command: _F) -> _F:
    for option in reversed(tuple(options)):
        command = option(command)
    return command


def field_map_of(given: dict[str, Any]) -> FieldMap:
    """Make a map of what was given, and take it out of there.

    Raises:
        ConfigurationError: It cannot be.
        UsageError: One of them is no pair.
    """
    return FieldMap(
        columns=_pairs("--map", given.pop("columns")),
        constants=_pairs("--const", given.pop("constants")),
        kind=given.pop("kind"),
        text=given.pop("is_text"),
        casts=_pairs("--cast", given.pop("casts")),  # type: ignore[arg-type]  # a map checks its types
        time_zone=given.pop("time_zone"),
        time_format=given.pop("time_format"),
        time_unit=given.pop("time_unit"),
        nan=given.pop("nan"),
        drop_columns=given.pop("drop_columns"),
        hash_columns=given.pop("hash_columns"),
    )


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


def _pairs(option: str, pairs: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, value = name_and_value(pair) or ("", "")
        if not value:
            raise click.UsageError(f"{option} must be FIELD=…, got {pair!r}")
        if name in found:
            raise click.UsageError(f"{option} has {name} twice: {found[name]!r} and {value!r}")
        found[name] = value
    return found
