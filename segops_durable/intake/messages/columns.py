"""What a message has beside its value, as columns: those only that a field map names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segops_durable.errors import ConfigurationError
from segops_durable.events import timestamp_of
from segops_durable.intake.sources.json_objects import read_object

if TYPE_CHECKING:
    from segops_durable.intake.mapping.field_map import FieldMap
    from segops_durable.intake.messages.message import Message

_PREFIX = "kafka."
_HEADER = "kafka.header."
_NAMES = ("kafka.key", "kafka.timestamp", "kafka.topic", "kafka.partition", "kafka.offset")


def check_columns(field_map: FieldMap) -> frozenset[str]:
    """The columns that a field map names of what a message has beside its value.

    Raises:
        ConfigurationError: There is no such column.
    """
    named = {*field_map.columns.values(), *field_map.casts, *field_map.hash_columns}
    ours = {name for name in named if name.startswith(_PREFIX)}
    for name in ours:
        if name not in _NAMES and not (name.startswith(_HEADER) and name != _HEADER):
            problem = f"field_map names the column {name!r}, and there is none"
            hint = f"There are {', '.join(_NAMES)} and {_HEADER}NAME"
            raise ConfigurationError(problem, field="field_map", hint=hint)
    return frozenset(ours)


def record_of(message: Message, columns: frozenset[str]) -> tuple[dict[str, Any], bool]:
    """The value of a message, read as JSON, and the columns that are asked for.

    Returns:
        The record, and whether nothing is in it but what JSON has.

    Raises:
        ValueError: The value is no JSON object, or a column is no text or the name of an entry.
    """
    record, is_json = read_object(message.value or b"")
    return added(record, message, columns), is_json


def added(record: dict[str, Any], message: Message, columns: frozenset[str]) -> dict[str, Any]:
    """A record with the columns that are asked for.

    Raises:
        ValueError: One is no text, or the name of an entry.
    """
    for name in columns:
        if name in record:
            raise ValueError(f"{name}: the message has an entry of this name")
        record[name] = _value(name, message)
    return record


def time_of(message: Message) -> str | None:
    """When a message was produced, as ISO 8601 in UTC; None where it does not say."""
    if message.timestamp is None:
        return None
    try:
        return timestamp_of(None, message.timestamp)
    except (ValueError, OverflowError, OSError):  # beyond the calendar
        return None


def text_of(name: str, value: bytes | str | None) -> str | None:
    """Bytes of a message as text.

    Raises:
        ValueError: They are no UTF-8.
    """
    if value is None or isinstance(value, str):
        return value
    try:
        return value.decode()
    except ValueError:
        raise ValueError(f"{name}: is no text in UTF-8") from None


def _value(name: str, message: Message) -> str | int | None:
    if name.startswith(_HEADER):
        wanted = name.removeprefix(_HEADER)
        values = [value for header, value in message.headers if header == wanted]
        return text_of(name, values[-1]) if values else None
    if name == "kafka.key":
        return text_of(name, message.key)
    if name == "kafka.timestamp":
        return time_of(message)
    found: str | int = getattr(message, name.removeprefix(_PREFIX))
    return found
