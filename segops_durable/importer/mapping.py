"""Which column of a record is what of an event."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from segops_durable.errors import ConfigurationError, InvalidEventError
from segops_durable.events import IDENTIFY_EVENT_TYPE, Event

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["track", "identify"]

_FIELDS = {
    "track": ("user_id", "event_type", "occurred_at", "payload"),
    "identify": ("user_id", "occurred_at", "traits"),
}


@dataclass(frozen=True, kw_only=True)
class FieldMap:
    """Makes events of records. What is not mapped goes into the payload, under its own name.

    Attributes:
        columns: The column of a field: ``user_id``, ``event_type``, ``occurred_at`` or
            ``payload``, an object whose entries join the others. Defaults to the column of
            the field's own name.
        constants: The value of a field, the same for all records. Defaults to none.
        kind: ``track``, or ``identify``, which has no ``event_type``, and ``traits`` instead
            of ``payload``. Defaults to ``track``.

    Raises:
        ConfigurationError: There is no such field, or no such kind.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    kind: Kind = "track"

    def __post_init__(self) -> None:
        if self.kind not in _FIELDS:
            raise ConfigurationError(
                f'kind must be "track" or "identify", got {self.kind!r}', field="kind"
            )
        fields = _FIELDS[self.kind]
        for option, names in (("columns", self.columns), ("constants", self.constants)):
            for name in names:
                if name not in fields or (option, name) == ("constants", fields[-1]):
                    raise ConfigurationError(
                        f"{option} must be of {', '.join(fields)}, got {name!r}", field=option
                    )

    def event_of(self, record: dict[str, Any]) -> Event:
        """Make an event of a record, which is used up by it.

        Raises:
            InvalidEventError: A field that is required is not there, or is of a wrong type.
        """
        user_id = self._required(record, "user_id")
        is_number = isinstance(user_id, int) and not isinstance(user_id, bool)
        is_identify = self.kind == "identify"
        event_type = IDENTIFY_EVENT_TYPE if is_identify else self._required(record, "event_type")
        occurred_at = self._optional(record, "occurred_at")
        payload = self._optional(record, "traits" if is_identify else "payload")
        if payload is not None:
            record.update(_object(payload))
        return Event(
            str(user_id) if is_number else user_id, event_type, occurred_at or None, record
        )

    def _required(self, record: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - checked on encoding
        value = self._optional(record, name)
        if value is None or value == "":
            column = self.columns.get(name, name)
            raise InvalidEventError(name, f"is required, in the column {column!r}", value)
        return value

    def _optional(self, record: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - checked on encoding
        if name in self.constants:
            return self.constants[name]
        return record.pop(self.columns.get(name, name), None)


def _object(payload: object) -> dict[str, Any]:
    """The entries of a payload column; a text of JSON is read."""
    found = payload
    if isinstance(payload, str):
        try:
            found = json.loads(payload) if payload else {}
        except ValueError:
            found = None
    if not isinstance(found, dict):
        raise InvalidEventError("payload", "must be an object, or JSON of one", payload)
    return found
