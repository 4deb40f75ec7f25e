"""What is asked of a file's columns, before a row of it is read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from segops_durable.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHOWN = 20


def check_missing(
    columns: Sequence[str], named: Mapping[str, str], required: Sequence[str]
) -> None:
    """Refuse columns of which a named or a required one is not there.

    Args:
        columns: Those of the file.
        named: Columns that options name, and the option's text for each.
        required: Fields that neither a constant nor an option names a column for.

    Raises:
        ConfigurationError: One is not there.
    """
    for column, option in named.items():
        if column not in columns:
            raise ConfigurationError(
                f"{option}: there is no column {column!r}. There are {_list(columns)}",
                field="columns",
                hint="Names are compared as they are written, upper and lower case too",
            )
    for name in required:
        if name not in columns:
            raise ConfigurationError(
                f"there is no column for {name}. There are {_list(columns)}",
                field="columns",
                hint=f"Say which it is, {name}=COLUMN, or one value for all, as a constant",
            )


def check_doubled(columns: Sequence[str]) -> None:
    """Refuse columns of which two have one name: one would hide the other.

    Raises:
        ConfigurationError: Two have.
    """
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise ConfigurationError(
            f"there is more than one column {twice[0]!r}",
            field="columns",
            hint="Give each column a name of its own",
        )


def check_hidden(columns: Sequence[str], payload: str) -> None:
    """Refuse a column beside one that names the same entry of the payload, with a dot.

    Args:
        columns: Those of the file, that go into the payload.
        payload: The column of the payload.

    Raises:
        ConfigurationError: There are two such.
    """
    start = f"{payload}."
    for name in columns:
        entry = name.removeprefix(start)
        if entry != name and entry in columns:
            raise ConfigurationError(
                f"the columns {name!r} and {entry!r} are both the entry {entry!r} of the payload",
                field="columns",
                hint="Rename one of them, or leave it out",
            )


def _list(columns: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in columns[:_SHOWN])
    more = len(columns) - _SHOWN
    return (shown or "none") + (f" and {more} more" if more > 0 else "")
