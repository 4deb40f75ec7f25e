"""What a source is taken for, in words, before anything of it is stored."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from segops_durable.intake.imports.heads import columns_of

if TYPE_CHECKING:
    from segops_durable.intake.imports.making import Maker
    from segops_durable.intake.imports.places import Found
    from segops_durable.intake.mapping.field_map import FieldMap
    from segops_durable.intake.sources.source import Chunk, Source

_LOOKED_AT = 20
_SHOWN = 8
_FIELDS = ("user_id", "event_type", "occurred_at", "anonymous_id")
_TYPES = {str: "text", bool: "true or false", int: "number", float: "number", dict: "object"}


def describe(
    source: Source, first: Chunk | None, field_map: FieldMap, maker: Maker, found: Found
) -> str:
    """Say in a line what a source is taken for, and where its import goes on.

    Args:
        source: The source.
        first: Its first records that are not imported yet.
        field_map: Which column is what.
        maker: Makes events of them.
        found: Its place.
    """
    parts = [f"{source.name}: {source.describe()}"]
    columns = columns_of(source, first)
    if columns:
        parts.append(_fields(columns, field_map))
    if columns and first is not None and first.records:
        parts.append(_payload(_first_event(source, first, maker)))
    if found.state is not None and not found.state.is_untouched:
        parts.append(f"goes on after line {found.state.place.line}")
    elif found.before is not None and not found.before.is_untouched:
        parts.append(f"begins anew, though {found.before.stored} events of it are stored")
    return "; ".join(part for part in parts if part)


def _fields(columns: tuple[str, ...], field_map: FieldMap) -> str:
    """The fields that have a value, and the column or the constant that it is of."""
    told = []
    for name in _FIELDS:
        column = field_map.columns.get(name, name)
        if name in field_map.constants:
            told.append(f"{name} = {field_map.constants[name]!r}")
        elif column in columns:
            told.append(name if name == column else f"{name} <- {column}")
        elif name == "occurred_at":
            told.append("occurred_at: the time of the import")
    return ", ".join(told)


def _payload(event: dict[str, Any] | None) -> str:
    if event is None:
        return "none of the first records is an event"
    entries = list(event["payload"].items())
    shown = [f"{name} ({_type_of(value)})" for name, value in entries[:_SHOWN]]
    more = [f"and {len(entries) - _SHOWN} more"] if len(entries) > _SHOWN else []
    return f"payload: {', '.join([*shown, *more])}" if shown else ""


def _type_of(value: object) -> str:
    return "null" if value is None else _TYPES.get(type(value), "list")


def _first_event(source: Source, first: Chunk | None, maker: Maker) -> dict[str, Any] | None:
    tally = maker.tally.copy()
    try:
        for record in islice(first.records if first else (), _LOOKED_AT):
            event, data = maker.try_encode(source, record, 0.0, None, is_shown=True)
            if event is not None:
                found: dict[str, Any] = json.loads(data)
                return found
    finally:
        maker.tally.clear()
        maker.tally.update(tally)
    return None
