"""Rows as a person can read and mend them, where a file has no text of its own to show."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.intake.mapping.values import plain, text_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from segops_durable.intake.mapping.values import Nan


class Unreadable(NamedTuple):
    """A value that Python has no form of.

    Attributes:
        reason: Why, in words.
        shown: What the file has, as JSON has it: a count, a far date's text, pairs, base64.
    """

    reason: str
    shown: object


class ShownRow(NamedTuple):
    """A row, as JSON has it.

    Attributes:
        values: Its values by column.
        unreadable: Those of its columns that no event can have as they are: whatever else
            of the row is mended, these have to be as well.
    """

    values: dict[str, Any]
    unreadable: tuple[str, ...]


def shown_row(row: Mapping[str, Any], nan: Nan, texts: Collection[str]) -> ShownRow:
    """Show a row, such that what is shown comes to the same event.

    Args:
        row: Its values by column.
        nan: What becomes of NaN: where it is null, null is shown.
        texts: The columns of which an event has the text: bytes there are not base64.
    """
    values: dict[str, Any] = {}
    unreadable: list[str] = []
    for name, value in row.items():
        found = _readable(value, nan, is_text=name in texts)
        if isinstance(found, Unreadable):
            unreadable.append(name)
            found = found.shown
        values[name] = found
    return ShownRow(values, tuple(unreadable))


def _readable(value: object, nan: Nan, *, is_text: bool) -> object:
    if isinstance(value, Unreadable):
        return value
    try:
        if is_text and isinstance(value, bytes | Decimal):
            return text_of(value)
        return plain(value, nan, Counter())
    except ValueError as error:
        return Unreadable(str(error), shown(value))


def shown(value: object) -> object:
    """A value as JSON has it; the parts that it has no form of, infinity and NaN, as text."""
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown(item) for item in value]
    try:
        return plain(value, "reject", Counter())
    except ValueError:
        return str(value)
