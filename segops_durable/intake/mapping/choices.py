"""What a map of fields may say, checked before any file is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, get_args

from segops_durable.errors import ConfigurationError
from segops_durable.errors.plain_text import shown
from segops_durable.intake.mapping.times import TimeUnit, check_form, zone_of
from segops_durable.intake.mapping.values import Cast, Nan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


FIELDS: dict[str, tuple[str, ...]] = {
    "track": ("user_id", "event_type", "occurred_at", "anonymous_id", "payload"),
    "identify": ("user_id", "occurred_at", "anonymous_id", "traits"),
}
"""The fields of each kind; the last is the object that the others join."""

IDS = ("user_id", "event_type", "anonymous_id")
"""Fields that are texts, whatever they look like."""


_CASTS_OF: dict[str, tuple[Cast, ...]] = {
    **dict.fromkeys(IDS, ("text", "integer")),
    "occurred_at": ("time",),
    "payload": ("json",),
    "traits": ("json",),
}


class Choices(Protocol):
    """What a `FieldMap` may say, as far as it can be checked without a file."""

    @property
    def columns(self) -> Mapping[str, str]: ...  # noqa: D102 - `FieldMap` has the meaning of each
    @property
    def constants(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def casts(self) -> Mapping[str, Cast]: ...  # noqa: D102
    @property
    def time_zone(self) -> str | None: ...  # noqa: D102
    @property
    def time_format(self) -> str | None: ...  # noqa: D102
    @property
    def time_unit(self) -> TimeUnit | None: ...  # noqa: D102
    @property
    def nan(self) -> Nan: ...  # noqa: D102
    @property
    def drop_columns(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def hash_columns(self) -> Sequence[str]: ...  # noqa: D102


def check_choices(chosen: Choices) -> None:
    """Refuse options that do not exist, or do not go together.

    Raises:
        ConfigurationError: One of them; `field` says which.
    """
    _check_one_of("kind", chosen.kind, tuple(FIELDS))
    _check_one_of("nan", chosen.nan, get_args(Nan))
    if chosen.time_unit is not None:
        _check_one_of("time_unit", chosen.time_unit, get_args(TimeUnit))
    zone_of(chosen.time_zone)
    if chosen.time_format is not None:
        check_form(chosen.time_format)
    if chosen.time_format is not None and chosen.time_unit is not None:
        problem = "time_format and time_unit are for one thing"
        raise ConfigurationError(problem, field="time_unit", hint="Leave one out")
    fields = FIELDS[chosen.kind]
    for option, names in (("columns", chosen.columns), ("constants", chosen.constants)):
        for name in names:
            if name not in fields or (option, name) == ("constants", fields[-1]):
                raise ConfigurationError(
                    f"{option} must be of {', '.join(fields)}, got {name!r}", field=option
                )
    _check_sources(chosen.columns, chosen.constants)
    for option in ("drop_columns", "hash_columns"):
        _check_names(option, getattr(chosen, option))
    _check_uses(chosen, {chosen.columns.get(name, name): name for name in fields})


def _check_one_of(option: str, value: object, known: Sequence[Any]) -> None:
    if not isinstance(value, str) or value not in known:
        names = [f'"{name}"' for name in known]
        problem = f"{option} must be {', '.join(names[:-1])} or {names[-1]}, got {shown(value)}"
        raise ConfigurationError(problem, field=option)


def _check_names(option: str, names: object) -> None:
    is_list = isinstance(names, list | tuple | set | frozenset)
    if not is_list or not all(isinstance(name, str) for name in names):  # type: ignore[union-attr, attr-defined, unused-ignore]
        problem = f"{option} must be a list of columns, got {shown(names)}"
        raise ConfigurationError(problem, field=option)


def _check_sources(columns: Mapping[str, str], constants: Mapping[str, str]) -> None:
    """Refuse what takes a field from two places, or two fields from one."""
    for name in columns:
        if name in constants:
            raise ConfigurationError(
                f"{name} is both a column, {columns[name]!r}, and a constant, {constants[name]!r}",
                field="columns",
            )
    fields: dict[str, str] = {}
    for name, column in columns.items():
        other = fields.setdefault(column, name)
        if other != name:
            raise ConfigurationError(
                f"the column {column!r} is for two fields, {other} and {name}", field="columns"
            )


def _check_uses(chosen: Choices, fields: Mapping[str, str]) -> None:
    """Refuse casts that there are not, and columns that two options would have."""
    for column, to in chosen.casts.items():
        _check_one_of("casts", to, get_args(Cast))
        name = fields.get(column, "")
        allowed = _CASTS_OF.get(name, get_args(Cast))
        if to not in allowed:
            raise ConfigurationError(
                f"casts: {name} may be cast to {' or '.join(allowed)}, got {to!r}", field="casts"
            )
    required = {name for name in ("user_id", "event_type") if name not in chosen.constants}
    taken = {
        "drop_columns": {
            *chosen.hash_columns,
            *chosen.casts,
            *chosen.columns.values(),
            *(column for column, name in fields.items() if name in required),
        },
        "hash_columns": {
            *chosen.casts,
            *(column for column, name in fields.items() if name not in IDS),
        },
    }
    for option, columns in taken.items():
        for column in getattr(chosen, option):
            if column in columns:
                raise ConfigurationError(
                    f"{option}: the column {column!r} is used otherwise", field=option
                )
