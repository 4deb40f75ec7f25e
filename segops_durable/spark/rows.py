"""Columns and rows of Spark: checked before anything runs, and made records of events."""

from __future__ import annotations

from collections import Counter
from datetime import timezone
from typing import TYPE_CHECKING, Any

from pyspark.sql import types

from segops_durable.errors import ConfigurationError, InvalidEventError
from segops_durable.errors.plain_text import json_text, shown
from segops_durable.events import encode_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Row

    from segops_durable.intake.imports import FieldMap

    Convert = Callable[[Any], Any]

_IDS = ("user_id", "event_type", "anonymous_id")
_OF_ID = (types.StringType, types.IntegralType, types.DecimalType)
_LOCAL_TIMES = (types.TimestampNTZType, types.DateType)
_PLAIN = (
    types.StringType,
    types.BooleanType,
    types.NumericType,
    types.BinaryType,
    types.TimestampType,
    types.NullType,
    *_LOCAL_TIMES,
)
_NOW = "current_timestamp()"


def check_schema(schema: types.StructType, field_map: FieldMap) -> None:
    """Refuse columns that cannot be events, before a task runs.

    Args:
        schema: The columns.
        field_map: Which is what.

    Raises:
        ConfigurationError: There is none for a field that is required, or one is of a type that
            cannot be that field, or is none of JSON.
    """
    names = schema.fieldNames()
    column = field_map.columns.get("occurred_at")
    if column is not None and column not in names:
        raise ConfigurationError(
            f"there is no column {column!r} for occurred_at. There are {', '.join(names)}",
            field="occurred_at",
            hint="A row that is sent again has to say the same time. To have that of the query, or "
            f'of its micro-batch, add withColumn("occurred_at", {_NOW})',
        )
    field_map.check_columns(names)
    fields = {field_map.columns.get(name, name): name for name in (*_IDS, "occurred_at")}
    body = "traits" if field_map.kind == "identify" else "payload"
    fields[field_map.columns.get(body, body)] = body
    for each in schema.fields:
        _check_type(each.name, each.dataType)
        _check_field(each.name, fields.get(each.name), each.dataType, field_map)


def _check_field(column: str, field: str | None, kind: types.DataType, field_map: FieldMap) -> None:
    if field in _IDS and not isinstance(kind, _OF_ID):
        raise _wrong(column, f"is {kind.simpleString()}, and {field} is a text or an integer")
    if field in {"payload", "traits"}:
        is_object = isinstance(kind, (types.StructType, types.MapType, types.StringType))
        if not is_object and not _is_variant(kind):
            problem = f"is {kind.simpleString()}, and {field} is a struct, a map or JSON of one"
            raise _wrong(column, problem)
    if field != "occurred_at":
        return
    if isinstance(kind, _LOCAL_TIMES) and field_map.time_zone is None:
        raise _wrong(column, f"is {kind.simpleString()}, which has no time zone", "Say time_zone")
    if not isinstance(kind, (types.TimestampType, types.StringType, types.NumericType)) and (
        not isinstance(kind, _LOCAL_TIMES)
    ):
        raise _wrong(column, f"is {kind.simpleString()}, and {field} is a time")


def _check_type(column: str, kind: types.DataType) -> None:
    """Refuse a type that JSON does not have, wherever in a column it is."""
    if isinstance(kind, types.StructType):
        for each in kind.fields:
            _check_type(f"{column}.{each.name}", each.dataType)
        if len(set(kind.fieldNames())) < len(kind.fields):
            raise _wrong(column, "has two fields of one name")
    elif isinstance(kind, types.ArrayType):
        _check_type(column, kind.elementType)
    elif isinstance(kind, types.MapType):
        if not isinstance(kind.keyType, types.StringType):
            raise _wrong(column, f"is {kind.simpleString()}, whose keys are no texts")
        _check_type(column, kind.valueType)
    elif not isinstance(kind, _PLAIN) and not _is_variant(kind):
        raise _wrong(column, f"is {kind.simpleString()}, which JSON does not have", "Cast it")


def _is_variant(kind: types.DataType) -> bool:
    return isinstance(kind, types.VariantType)


def _wrong(column: str, problem: str, hint: str = "") -> ConfigurationError:
    return ConfigurationError(f"the column {column!r} {problem}", field=column, hint=hint)


class Reader:
    """Makes the bytes of events of rows; the same ones at each attempt, on each machine.

    Args:
        schema: The columns.
        field_map: Which is what.
        largest: Bytes of an encoded event at most.

    Attributes:
        tally: What was done to values, in words, and how often.
    """

    def __init__(self, schema: types.StructType, field_map: FieldMap, largest: int) -> None:
        self._convert = _converter(schema)
        self._field_map = field_map
        self._largest = largest
        self.tally: Counter[str] = Counter()

    def read(self, row: Row) -> tuple[str, bytes]:
        """When a row's event occurred, and its bytes.

        Raises:
            InvalidEventError: It is none that can be sent.
        """
        record: dict[str, Any] = self._convert(row)
        event = self._field_map.event_of(record, tally=self.tally)
        data = encode_event(event)
        if len(data) > self._largest:
            problem = f"must have at most {self._largest} bytes when encoded"
            raise InvalidEventError("event", problem, len(data), hint="See max_event_bytes")
        return str(event.occurred_at), data

    def bad(self, row: Row, problem: str) -> dict[str, Any]:
        """What is told of a row that is no event."""
        record = {name: _told(value) for name, value in self._convert(row).items()}
        return {"cause": "no_event", "reason": problem, "record": record}


def _told(value: object) -> object:
    """A value as JSON has it, or else in words."""
    try:
        json_text(value)
    except (TypeError, ValueError, RecursionError):
        return shown(value)
    return value


def _converter(kind: types.DataType) -> Convert:
    """What makes of Spark's value one that this package knows: dicts, lists, times with a zone."""
    if isinstance(kind, types.StructType):
        parts = [(each.name, _converter(each.dataType)) for each in kind.fields]
        return _or_none(
            lambda row: {
                name: convert(value) for (name, convert), value in zip(parts, row, strict=True)
            }
        )
    if isinstance(kind, types.ArrayType):
        of_item = _converter(kind.elementType)
        return _or_none(lambda items: [of_item(each) for each in items])
    if isinstance(kind, types.MapType):
        of_value = _converter(kind.valueType)
        return _or_none(lambda items: {name: of_value(each) for name, each in items.items()})
    if isinstance(kind, types.TimestampType):
        # Spark hands it over by the clocks of the executor, which need not be in one zone
        return _or_none(lambda value: value.astimezone(timezone.utc))
    if isinstance(kind, types.BinaryType):
        return _or_none(bytes)
    return _or_none(lambda value: value.toPython() if _is_variant(kind) else value)


def _or_none(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)
