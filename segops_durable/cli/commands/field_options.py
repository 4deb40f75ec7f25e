"""Which columns, or entries, are what of an event, and what becomes of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from segops_durable.cli.pairs import name_and_value
from segops_durable.intake.imports import Cast, FieldMap, Nan, TimeUnit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_F = TypeVar("_F", bound="Callable[..., Any]")

FIELD_OPTIONS = (
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


def with_options(options: Iterable[Callable[[_F], _F]], command: _F) -> _F:
    """Add options to a command, in the order in which its help shows them."""
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
        text=given.pop("is_text", False),
        casts=_pairs("--cast", given.pop("casts")),  # type: ignore[arg-type]  # a map checks its types
        time_zone=given.pop("time_zone"),
        time_format=given.pop("time_format"),
        time_unit=given.pop("time_unit"),
        nan=given.pop("nan"),
        drop_columns=given.pop("drop_columns"),
        hash_columns=given.pop("hash_columns"),
    )


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
