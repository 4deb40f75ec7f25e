"""When an event occurred: ISO 8601 in UTC, whatever form it was given in."""

from __future__ import annotations

import re
import time
from datetime import date, datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING

from segops_durable.errors import InvalidEventError
from segops_durable.events.payloads import words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_TIMESTAMP = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[Tt ](?P<time>\d\d:\d\d(:\d\d)?)(?P<fraction>[.,]\d+)?"
    r"(?P<zone>[Zz]|[+-]\d\d:?\d\d)",
    re.ASCII,
)

_LAST_SECOND = 253_402_300_799.0  # of the year 9999, the last that Python and ISO 8601 have


def retimed(data: bytes, now: float) -> bytes:
    """An encoded event with another time of its occurrence, in Unix time; the rest stays.

    One that has none, which is not of our making, stays as it is: it has to leave the queue.
    """
    found = data.find(_OCCURRED_AT)  # in a text its quotes are escaped
    start = found + len(_OCCURRED_AT)
    end = data.find(b'"', start)
    return data if found < 0 or end < 0 else data[:start] + _utc_now(now).encode() + data[end:]


_OCCURRED_AT = b'"occurred_at":"'


def timestamp_of(value: object, now: float | None) -> str:
    """The text of a time that was given, in UTC; of now, in Unix time, where none was.

    Raises:
        InvalidEventError: It is no time, or has no zone.
    """
    if type(value) is str:
        return _time_in_utc(value)
    if value is None:
        return _utc_now(time.time() if now is None else now)
    if isinstance(value, datetime):
        return _datetime_in_utc(value)
    if isinstance(value, str):
        return _time_in_utc(str.__str__(value))
    raise InvalidEventError("occurred_at", "must be ISO 8601 text or a datetime", value)


def utc_texts(times: Sequence[str]) -> list[str] | None:
    """The texts of times, as `timestamp_of` gives them; None where one is not in UTC, or is none.

    Thousands of times take one look, and not one each.
    """
    lines = "\n".join(times) + "\n"
    if not _UTC_LINES.fullmatch(lines) or lines.count("\n") != len(times):
        return None
    if not all(map(_is_day, {time[:11] for time in times})):
        return None
    return lines.replace("Z\n", "+00:00\n").split("\n")[:-1]


_UTC_LINES = re.compile(
    r"(?:\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|\+00:00)\n)*", re.ASCII
)


def _datetime_in_utc(value: datetime) -> str:
    text = ""
    try:
        if value.utcoffset() is not None:
            text = value.astimezone(timezone.utc).isoformat()
        is_time = type(value) is datetime or _TIMESTAMP.fullmatch(text) is not None
    except Exception as error:
        problem = f"is no such time ({words_of(error)})"
        raise InvalidEventError("occurred_at", problem, value) from error
    if not text:
        raise InvalidEventError("occurred_at", "must have a time zone", value)
    if not is_time:  # NaT is a datetime, too
        raise InvalidEventError("occurred_at", "is no time", value)
    return text


@lru_cache(maxsize=1)  # thousands of an import's events have one moment
def _utc_now(now: float) -> str:
    within = min(max(0.0, now), _LAST_SECOND)  # a broken clock must not end what sends
    return datetime.fromtimestamp(within, timezone.utc).isoformat()


@lru_cache(maxsize=4096)  # the days of eleven years
def _is_day(text: str) -> bool:
    """Whether a text is a day of the calendar and a T, as in ``2026-01-31T``."""
    try:
        return f"{date.fromisoformat(text[:-1]).isoformat()}T" == text
    except ValueError:
        return False


_HOURS = frozenset(f"{number:02}:" for number in range(24))
_MINUTES = frozenset(f"{number:02}:" for number in range(60))
_SECONDS = frozenset(f"{number:02}" for number in range(60))


def _time_in_utc(text: str) -> str:
    """A time that was given, in UTC; one that is in UTC takes no regex, and no datetime."""
    if (
        text[17:19] not in _SECONDS
        or text[14:17] not in _MINUTES
        or text[11:14] not in _HOURS
        or not _is_day(text[:11])
    ):
        return _utc_text(text)
    rest = text[19:]
    if rest == "+00:00":
        return text
    fraction = rest[:-1] if rest[-1:] == "Z" else rest.removesuffix("+00:00")
    digits = fraction[1:]
    is_utc = len(fraction) < len(rest)
    if is_utc and (not fraction or (fraction[0] == "." and digits.isascii() and digits.isdigit())):
        return f"{text[:19]}{fraction}+00:00"
    return _utc_text(text)


def _utc_text(text: str) -> str:
    """Move ISO 8601 text to UTC; the fraction of a second keeps every digit it came with."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        problem = "must be ISO 8601 with a time zone, e.g. 2026-01-31T12:00:00Z"
        raise InvalidEventError("occurred_at", problem, text)
    zone = match["zone"].upper().replace("Z", "+00:00")
    if ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    try:
        moment = datetime.fromisoformat(f"{match['date']}T{match['time']}{zone}")
        utc = moment.astimezone(timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise InvalidEventError("occurred_at", f"is no such time ({error})", text) from None
    fraction = (match["fraction"] or "").replace(",", ".")
    return f"{utc.isoformat()}{fraction}+00:00"
