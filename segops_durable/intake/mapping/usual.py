"""Records of JSON as most are: the fields of their events, many at once."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.errors import InvalidEventError
from segops_durable.events import IDENTIFY_EVENT_TYPE, timestamp_of, utc_texts
from segops_durable.intake.mapping.choices import FIELDS

if TYPE_CHECKING:
    from segops_durable.intake.mapping.choices import Choices


class Columns(NamedTuple):
    """The fields of many events, each of all of them.

    Attributes:
        places: Which of the records they are of.
        users: Their `user_id`.
        types: Their `event_type`.
        times: Their `occurred_at`, in UTC.
        payloads: Their `payload`.
        are_timed: Whether each said when it occurred.
    """

    places: list[int]
    users: list[str]
    types: list[str]
    times: list[str]
    payloads: list[dict[str, Any]]
    are_timed: list[bool]


class Usual(NamedTuple):
    """Where the fields of such records are from.

    Attributes:
        user_id: The same for all records; None where it has a column.
        user_column: That column.
        event_type: The same for all records; None where it has a column.
        type_column: That column.
        time_column: The column of `occurred_at`.
        is_time_required: Whether a record without a time is bad.
        visitor_column: The column of `anonymous_id`, in which nothing may be.
        payload_column: The column of entries that join the others.
    """

    user_id: str | None
    user_column: str
    event_type: str | None
    type_column: str
    time_column: str
    is_time_required: bool
    visitor_column: str
    payload_column: str

    def columns(self, records: list[dict[str, Any] | None], now: str) -> Columns:
        """The fields of the events of records, but for those that take a closer look, bad or not.

        Args:
            records: What orjson has read, and is used up; None for one that takes a closer look.
            now: When those occurred that do not say it.
        """
        places = [place for place, record in enumerate(records) if record is not None]
        whole = [record for record in records if record is not None]
        users = _taken(whole, self.user_column, self.user_id)
        types = _taken(whole, self.type_column, self.event_type)
        visitors, times = _taken(whole, self.visitor_column), _taken(whole, self.time_column)
        texts = _in_utc(times, None if self.is_time_required else now)
        payloads = _joined(whole, _taken(whole, self.payload_column))
        found: list[list[Any]] = [places, users, types, texts, payloads, [*map(bool, times)]]
        if (
            {*map(type, users), *map(type, types)} != {str}
            or not (all(users) and all(types))
            or visitors.count(None) < len(whole)
            or None in texts
            or None in payloads
        ):
            are_fit = [*map(_is_fit, users, types, texts, payloads, visitors)]
            found = [[*compress(column, are_fit)] for column in found]
        return Columns(*found)


def usual_of(chosen: Choices) -> Usual | None:
    """Where a map of fields has them from; None where each value takes a look."""
    if (
        chosen.casts or chosen.drop_columns or chosen.hash_columns
        or chosen.time_format is not None
        or {"occurred_at", "anonymous_id"} & chosen.constants.keys()
        or "anonymous_id" in chosen.columns  # each record has one
    ):  # fmt: skip
        return None

    def column(name: str) -> str:
        return chosen.columns.get(name, name)

    return Usual(
        chosen.constants.get("user_id"),
        column("user_id"),
        chosen.constants.get("event_type") if chosen.kind == "track" else IDENTIFY_EVENT_TYPE,
        column("event_type"),
        column("occurred_at"),
        "occurred_at" in chosen.columns,
        column("anonymous_id"),
        column(FIELDS[chosen.kind][-1]),
    )


def _taken(records: list[dict[str, Any]], column: str, constant: str | None = None) -> list[Any]:
    """What records have in a column, in which there is nothing afterwards; or a constant."""
    if constant is not None:
        return [constant] * len(records)
    return [record.pop(column, None) for record in records]


def _is_fit(user_id: Any, event_type: Any, time: Any, payload: Any, visitor: Any) -> bool:  # noqa: ANN401 - what JSON has
    """Whether an event may be made of what was found of a record."""
    is_text = type(user_id) is str and type(event_type) is str and user_id and event_type
    return bool(is_text) and None not in (time, payload) and visitor in (None, "")


def _in_utc(times: list[Any], now: str | None) -> list[str | None]:
    """Times that are texts in UTC, as events have them; None of any other."""
    given = [*{time for time in times if type(time) is str}]
    texts = utc_texts(given) or map(_one_in_utc, given)
    known: dict[str | None, str | None] = dict(zip(given, texts, strict=True))
    known[None] = known[""] = now
    return [known[time] if time is None or type(time) is str else None for time in times]


def _one_in_utc(time: str) -> str | None:
    try:
        return timestamp_of(time, None) if time.endswith(("Z", "+00:00")) else None
    except InvalidEventError:
        return None


def _joined(records: list[dict[str, Any]], entries: list[Any]) -> list[dict[str, Any] | None]:
    """Records, each with the entries of its payload; None where those are none, or hide others."""
    if entries.count(None) == len(entries):
        return [*records]
    return [*map(_with_entries, records, entries)]


def _with_entries(record: dict[str, Any], entries: Any) -> dict[str, Any] | None:  # noqa: ANN401 - what JSON has
    if entries is None or entries == "":
        return record
    if type(entries) is dict and entries.keys().isdisjoint(record):
        return {**record, **entries}
    return None
