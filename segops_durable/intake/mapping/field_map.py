"""Which column of a record is what of an event."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

from segops_durable.errors import InvalidEventError
from segops_durable.events import IDENTIFY_EVENT_TYPE, Event
from segops_durable.intake.mapping.choices import FIELDS, IDS, check_choices
from segops_durable.intake.mapping.columns import check_doubled, check_hidden, check_missing
from segops_durable.intake.mapping.concealing import hashed, secret_of
from segops_durable.intake.mapping.times import TimeReader, TimeUnit, zone_of
from segops_durable.intake.mapping.values import (
    Cast,
    Nan,
    cast,
    entries_of,
    id_text,
    plain,
    tried,
    typed,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EventKind = Literal["track", "identify"]
"""Whether records are events, or the traits of users."""

_REQUIRED = {"track": ("user_id", "event_type"), "identify": ("user_id",)}


class _Source(NamedTuple):
    """Where a field is from: a constant, or a column; and what is asked of its values."""

    constant: str | None
    column: str
    is_required: bool
    cast: Cast | None


@dataclass(frozen=True, kw_only=True)
class FieldMap:
    """Makes events of records. What is not mapped goes into the payload, under its own name.

    A field that `columns` names must have a value in every record; one that is not named may
    be missing where an event need not have it. The ids are texts, and never typed.

    Attributes:
        columns: The column of a field: ``user_id``, ``event_type``, ``occurred_at``,
            ``anonymous_id`` or ``payload``, an object whose entries join the others. Defaults
            to the column of the field's own name.
        constants: The value of a field, the same for all records. Defaults to none.
        kind: ``track``, or ``identify``, which has no ``event_type``, and ``traits`` instead
            of ``payload``. Defaults to ``track``.
        text: Leave the values of CSV as they are, instead of typing them as JSON would: true,
            false, null where there is nothing, and a number if it stays the same number: one
            with leading zeros, an exponent as in 12E4, or more digits than a double holds is a
            text. Defaults to False.
        casts: The type of a column: ``text``, ``integer``, ``number`` (the nearest double),
            ``boolean``, ``json`` or ``time``. A value that is none costs its record. Defaults
            to what the file says.
        time_zone: Of times that have none, e.g. ``Europe/Berlin``; of days too, whose midnight
            it is then. Defaults to none: they are rejected.
        time_format: What times look like, as for `datetime.strptime`. Defaults to ISO 8601, or
            numbers.
        time_unit: What times that are numbers count since 1970: ``s``, ``ms``, ``us`` or
            ``ns``. Defaults to what their size says.
        nan: What becomes of NaN: ``null``, which is counted, or ``reject``. Defaults to null.
        drop_columns: Columns that are not read. Defaults to none.
        hash_columns: Columns of which the HMAC-SHA256 is stored, in hexadecimal, instead of
            the value. Defaults to none.
        hash_secret: The secret for it. Defaults to the environment's ``SEGOPS_HASH_SECRET``.

    Raises:
        ConfigurationError: There is no such field, kind or type; a field has two sources, or a
            column two uses; or there is no secret to hash with.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    kind: EventKind = "track"
    text: bool = False
    casts: Mapping[str, Cast] = field(default_factory=dict)
    time_zone: str | None = None
    time_format: str | None = None
    time_unit: TimeUnit | None = None
    nan: Nan = "null"
    drop_columns: Sequence[str] = ()
    hash_columns: Sequence[str] = ()
    hash_secret: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_choices(self)
        if self.hash_columns:
            object.__setattr__(self, "hash_secret", secret_of(self.hash_secret))

    @property
    def text_columns(self) -> frozenset[str]:
        """The columns of which an event has the text, or something that is made of it."""
        return frozenset({*map(self._column, IDS), *self.casts, *self.hash_columns})

    def check_columns(self, columns: Sequence[str]) -> None:
        """Refuse a file that cannot be meant, by the names of its columns.

        Args:
            columns: All of them; or of JSON Lines those that the head of the file has.

        Raises:
            ConfigurationError: There is none for a field that is required, or none of a name
                that an option has; or two have one name, or are one entry of the payload.
        """
        check_doubled(columns)
        named = {column: f"{name}={column}" for name, column in self.columns.items()}
        named |= {column: f"cast {column}={to}" for column, to in self.casts.items()}
        named |= dict.fromkeys(self.drop_columns, "drop_columns")
        named |= dict.fromkeys(self.hash_columns, "hash_columns")
        known = {*self.columns, *self.constants}
        required = [name for name in _REQUIRED[self.kind] if name not in known]
        check_missing(columns, named, required)
        taken = {*self.columns.values(), *self.drop_columns}
        check_hidden([name for name in columns if name not in taken], self._column(self._payload))

    def fingerprint(self) -> str:
        """A hash that tells two maps apart, the same in every process; it gives no secret away.

        What is as by default has no part in it, so that an option which a later version adds
        leaves it as it is.
        """
        chosen = {
            "columns": {name: column for name, column in self.columns.items() if name != column},
            "constants": dict(self.constants),
            "kind": "" if self.kind == "track" else self.kind,
            "text": self.text,
            "casts": dict(self.casts),
            "time_zone": self.time_zone,
            "time_format": self.time_format,
            "time_unit": self.time_unit,
            "nan": "" if self.nan == "null" else self.nan,
            "drop_columns": sorted(self.drop_columns),
            "hash_columns": sorted(self.hash_columns),
        }
        told = {name: value for name, value in chosen.items() if value}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def event_of(
        self,
        record: dict[str, Any],
        *,
        is_text: bool = False,
        is_json: bool = False,
        tally: Counter[str] | None = None,
    ) -> Event:
        """Make an event of a record, which is used up by it.

        Args:
            record: Its values, by column.
            is_text: Whether they are texts, whatever they say.
            is_json: Whether nothing is in it but what JSON has: then it is not looked through.
            tally: Counts what was done to values, in words. Defaults to not at all.

        Raises:
            InvalidEventError: A field that is required is not there, or a value is none that
                can be sent, or is not what an option says.
        """
        tally = Counter() if tally is None else tally
        if self.drop_columns or self.hash_columns:
            self._conceal(record)
        user_id = self._id(record, "user_id", tally)
        is_track = self.kind == "track"
        event_type = self._id(record, "event_type", tally) if is_track else IDENTIFY_EVENT_TYPE
        anonymous_id = self._id(record, "anonymous_id", tally)
        occurred_at = self._value(record, "occurred_at")
        # what most files have needs no look: it is checked where it is encoded
        if occurred_at is not None and (
            type(occurred_at) is not str or occurred_at[-1] != "Z" or self.time_format is not None
        ):
            occurred_at = self._times.read(occurred_at, tally)
        payload = self._value(record, self._payload)
        if is_text or not is_json or self.casts:
            self._type(record, tally, is_text=is_text and not self.text, is_json=is_json)
        if payload is not None:
            record = self._joined(record, payload, tally, is_json=is_json)
        return Event(user_id, event_type, occurred_at, record, anonymous_id)

    @cached_property
    def _payload(self) -> str:
        return FIELDS[self.kind][-1]

    @cached_property
    def _times(self) -> TimeReader:
        return TimeReader(zone=zone_of(self.time_zone), form=self.time_format, unit=self.time_unit)

    @cached_property
    def _sources(self) -> dict[str, _Source]:
        """Where each field is from: looked up once, as there are a million records."""
        return {
            name: _Source(
                self.constants.get(name),
                self._column(name),
                # an event without its time would be one of the time of the import
                name in _REQUIRED[self.kind] or (name in self.columns and name != self._payload),
                self.casts.get(self._column(name)),
            )
            for name in FIELDS[self.kind]
        }

    def _column(self, name: str) -> str:
        return self.columns.get(name, name)

    def _id(self, record: dict[str, Any], name: str, tally: Counter[str]) -> Any:  # noqa: ANN401 - checked on encoding
        """The text of an id as it is; of one that need not be there, None."""
        constant, column, is_required, to = self._sources[name]
        value = constant if constant is not None else record.pop(column, None)
        if type(value) is str and value and to is None:
            return value
        if value is None or value == "":
            return self._nothing(name, value) if is_required else None
        if to is not None:
            value = tried(name, value, partial(cast, value, to, self.nan, tally))
        return id_text(name, value)

    def _value(self, record: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - checked on encoding
        """The value of a field; None where there is none, if it need not be there."""
        constant, column, is_required, _ = self._sources[name]
        if constant is not None:
            return constant
        value = record.pop(column, None)
        if value is not None and value != "":
            return value
        return self._nothing(name, value) if is_required else None

    def _nothing(self, name: str, value: object) -> NoReturn:
        problem = f"is required, in the column {self._column(name)!r}"
        raise InvalidEventError(name, problem, value)

    def _conceal(self, record: dict[str, Any]) -> None:
        for name in self.drop_columns:
            record.pop(name, None)
        for name in self.hash_columns:
            if name in record:
                make = partial(hashed, record[name], self.hash_secret or "")
                record[name] = tried(name, "…", make)

    def _type(
        self, record: dict[str, Any], tally: Counter[str], *, is_text: bool, is_json: bool
    ) -> None:
        """Give each value the type that it has in JSON, or the one that an option says."""
        for name, value in record.items():
            to = self.casts.get(name)
            if to == "time":
                record[name] = (
                    None if value is None or value == "" else self._times.read(value, tally, name)
                )
            elif to is not None:
                record[name] = tried(name, value, partial(cast, value, to, self.nan, tally))
            elif is_text:
                record[name] = typed(value)
            elif not is_json:
                record[name] = tried(name, value, partial(plain, value, self.nan, tally))

    def _joined(
        self, record: dict[str, Any], payload: object, tally: Counter[str], *, is_json: bool
    ) -> dict[str, Any]:
        """The columns and the entries of the payload, of which none may hide another."""
        entries = entries_of(payload)
        if entries is None:
            raise InvalidEventError(self._payload, "must be an object, or JSON of one", payload)
        if not is_json:
            entries = tried(self._payload, payload, partial(plain, entries, self.nan, tally))
        if not record:
            return entries
        for name in record.keys() & entries.keys():
            if record[name] is not None:
                path = f"{self._payload}.{name}"
                raise InvalidEventError(path, "has a column of its own too", record[name])
        return {**record, **entries}
