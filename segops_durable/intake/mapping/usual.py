"""Records of JSON as most are, made straight into the bytes of their events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.errors import InvalidEventError
from segops_durable.events import IDENTIFY_EVENT_TYPE, encode_read, timestamp_of
from segops_durable.intake.mapping.choices import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.intake.mapping.choices import Choices

    MakeBytes = Callable[[dict[str, Any]], tuple[bytes, bool] | None]


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

    def maker(self, now: str, anonymous_id: str | None) -> MakeBytes:
        """Return what makes the bytes of a record, and says whether it says when it occurred.

        A record is what orjson has read, and is used up. Of one that takes a closer look, bad or
        not, nothing is made: that gives None.

        Args:
            now: When those occurred that do not say it.
            anonymous_id: The device's, under a public key.
        """
        the_user, user_column, the_type, type_column = self[:4]
        time_column, is_time_required, visitor_column, payload_column = self[4:]

        def make(record: dict[str, Any]) -> tuple[bytes, bool] | None:
            pop = record.pop
            user_id = pop(user_column, None) if the_user is None else the_user
            event_type = pop(type_column, None) if the_type is None else the_type
            visitor, time = pop(visitor_column, None), pop(time_column, None)
            entries = pop(payload_column, None)
            is_timed = time is not None and time != ""
            if type(user_id) is not str or type(event_type) is not str or not user_id:
                return None
            if (visitor is not None and visitor != "") or is_timed < is_time_required:
                return None
            if entries is not None and entries != "":
                if type(entries) is not dict or not entries.keys().isdisjoint(record):
                    return None
                record = {**record, **entries}
            occurred_at = _in_utc(time) if is_timed else now
            if not event_type or occurred_at is None:
                return None
            return encode_read(user_id, event_type, occurred_at, record, anonymous_id), is_timed

        return make


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


def _in_utc(time: object) -> str | None:
    """A time that is a text in UTC, as events have it; None of any other."""
    if type(time) is not str or not (time[-1] == "Z" or time.endswith("+00:00")):
        return None
    try:
        return timestamp_of(time, None)
    except InvalidEventError:
        return None
