"""Many events at once: what nearly all have in common is looked at once for all of them."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.events.encoding import encode_checked, encode_columns
from segops_durable.events.event import Event
from segops_durable.events.fast_json import are_written_alike, write_json
from segops_durable.events.timestamps import timestamp_of, utc_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NOTHING = type(None)
_OURS = ("user_id", "event_type", "occurred_at", "payload")


class Many(NamedTuple):
    """Events that were encoded at once.

    Attributes:
        encoded: The bytes of each, as `encode_event` makes them.
        are_timed: Whether each says when it occurred.
    """

    encoded: list[bytes]
    are_timed: list[bool]


def encode_many(
    events: Sequence[Event | Mapping[str, Any]],
    now: float,
    anonymous_id: str | None,
    largest: int,
) -> Many | None:
    """Encode events that are alike: all have the same fields, of the usual types.

    Args:
        events: The events, at least one.
        now: Unix time in seconds, for those that do not say when they occurred.
        anonymous_id: As for `encode_event`.
        largest: Bytes that each may have.

    Returns:
        None where one is not alike, or not to be sent, which one by one shows which and why.
    """
    try:
        columns = _columns_of(events)
        if columns is None or not are_written_alike(columns["payload"]):
            return None
        times = columns.get("occurred_at") or [None] * len(events)
        texts = _texts_of(times, now)
        users, types, payloads = columns["user_id"], columns["event_type"], columns["payload"]
        encoded = encode_checked(users, types, texts, payloads, anonymous_id)
    except (LookupError, TypeError, ValueError, RuntimeError):  # of whatever was given
        return None
    if max(map(len, encoded)) > largest:
        return None
    return Many(encoded, [time is not None for time in times])


def encode_received_many(
    events: Sequence[Any], now: float, anonymous_id: str | None, largest: int
) -> Many | None:
    """Encode events that another SDK has sent, as orjson has read them; as `encode_received` does.

    Args:
        events: The events, at least one.
        now: As for `encode_many`.
        anonymous_id: The visitor's; None for none.
        largest: As for `encode_many`.

    Returns:
        As `encode_many`; also where they have fields that are not known here.
    """
    if write_json is None:
        return None
    try:
        columns = _columns_of(events)
        if columns is None or not columns.keys() <= {*_OURS}:
            return None
        times = columns.get("occurred_at") or [None] * len(events)
        texts = _texts_of(times, now)
        if texts == times and anonymous_id is None and {*map(tuple, events)} == {_OURS}:
            encoded = [*map(write_json, events)]  # they are as they would be made
        else:
            users, types, payloads = columns["user_id"], columns["event_type"], columns["payload"]
            encoded = encode_columns(users, types, texts, payloads, anonymous_id)
    except (LookupError, TypeError, ValueError):
        return None
    if max(map(len, encoded)) > largest:
        return None
    return Many(encoded, [time is not None for time in times])


def _columns_of(events: Sequence[Any]) -> dict[str, list[Any]] | None:
    """The fields of events, each of all of them; None where their types are not the usual ones."""
    kinds = {*map(type, events)}
    fields: Sequence[Any] = [*map(vars, events)] if kinds == {Event} else events
    first = fields[0]
    if kinds not in ({dict}, {Event}) or {*map(len, fields)} != {len(first)}:
        return None
    columns = {name: [*map(itemgetter(name), fields)] for name in first}
    users, types, payloads = columns["user_id"], columns["event_type"], columns["payload"]
    is_usual = (
        {*map(type, users), *map(type, types)} == {str}
        and {*map(type, payloads)} == {dict}
        and {*map(type, columns.get("anonymous_id", ()))} <= {_NOTHING}
        and all(users)
        and all(types)
    )
    return columns if is_usual else None


def _texts_of(times: Sequence[Any], now: float) -> list[str]:
    """Times as texts, in UTC; many may be of one moment."""
    kinds = {*map(type, times)}
    if not kinds <= {str, _NOTHING}:
        return [timestamp_of(time, now) for time in times]
    given = [*{*times}]
    texts = (utc_texts(given) if kinds == {str} else None) or [
        timestamp_of(time, now) for time in given
    ]
    return [*map(dict(zip(given, texts, strict=True)).__getitem__, times)]
