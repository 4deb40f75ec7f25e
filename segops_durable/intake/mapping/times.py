"""Times as files have them: with a zone or without, in a format of their own, or as a number.

Nothing is guessed in silence. A time without a zone needs one; a local time that a change of the
clock made double, or left out, is none; and of a number it is said for what it was taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import ROUND_FLOOR, Context, Decimal
from typing import TYPE_CHECKING, Literal, cast
from zoneinfo import ZoneInfo

from segops_durable.errors import ConfigurationError, InvalidEventError
from segops_durable.errors.plain_text import shown

if TYPE_CHECKING:
    from collections import Counter

TimeUnit = Literal["s", "ms", "us", "ns"]
"""What a time that is a number counts: seconds, milliseconds, microseconds or nanoseconds."""

_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_EARLIEST, _LATEST = 10**8, 10**10  # seconds, of 1973 and 2286: no unit's range touches another's
_CONTEXT = Context(prec=80)
_LONGEST = 60
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_CALENDAR = re.compile(r"(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([0-9]{2})*")
_HOURS_OF_2033 = 2_000_000_000  # 2000010100 as digits of a date and hour, and a second of 2033
_LOCAL = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"([Tt ](?P<time>[0-9]{2}:[0-9]{2}(:[0-9]{2})?)(?P<fraction>[.,][0-9]+)?)?"
)
_LONGEST_DATE = 16  # a day and a minute: its last hyphen is no sign of an offset
_YEARS, _DAYS = frozenset("YyGcx"), frozenset("djuwaAcx")
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>[01][0-9]|2[0-3]):?(?P<minutes>[0-5][0-9])")


@dataclass(frozen=True, kw_only=True)
class TimeReader:
    """Reads times.

    Attributes:
        zone: The zone of those that have none; None to refuse them.
        form: What they look like, as for `datetime.strptime`; None for ISO 8601 and numbers.
        unit: What numbers count since 1970; None to tell by their size.
    """

    zone: tzinfo | None = None
    form: str | None = None
    unit: TimeUnit | None = None

    def read(self, value: object, tally: Counter[str], field: str = "occurred_at") -> str:
        """A time as ISO 8601 text with a zone.

        Args:
            value: A text or a number.
            tally: Counts numbers whose unit was told by their size.
            field: Whose it is, for an error.

        Raises:
            InvalidEventError: It is no time, or one that cannot be told.
        """
        if isinstance(value, str) and self.form is None:
            if value[-1:] == "Z" or _has_zone(value):
                return value  # whether it is a time is found out where it is encoded
            value = _with_whole_zone(value)
            if _has_zone(value):
                return value
        try:
            if isinstance(value, date):
                return self._of_date(value)
            return self._read(_text_of(value), tally)
        except (ValueError, OverflowError) as error:
            hint = error.args[1] if len(error.args) > 1 else ""
            raise InvalidEventError(field, str(error.args[0]), value, hint=hint) from None

    def _read(self, text: str, tally: Counter[str]) -> str:
        if self.form is not None:
            moment = datetime.strptime(text, self.form)  # noqa: DTZ007 - a zone is added, or was read
            return moment.isoformat() if moment.tzinfo else self._local(moment, "")
        if len(text) <= _LONGEST and _NUMBER.fullmatch(text):
            return self._since_epoch(text, tally)
        match = _LOCAL.fullmatch(text)
        if match is None:
            raise ValueError("must be ISO 8601, or what an option says")
        moment = datetime.fromisoformat(f"{match['date']}T{match['time'] or '00:00'}")
        return self._local(moment, (match["fraction"] or "").replace(",", "."))

    def _of_date(self, value: date) -> str:
        if not isinstance(value, datetime):
            return self._local(datetime(value.year, value.month, value.day), "")  # noqa: DTZ001 - a zone is added
        return self._local(value, "") if value.tzinfo is None else value.isoformat()

    def _local(self, moment: datetime, fraction: str) -> str:
        """A time of the zone's clocks, in UTC."""
        if self.zone is None:
            raise ValueError("has no time zone", "Say which it is: time_zone (--time-zone)")
        first, second = (moment.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        in_utc = first.astimezone(timezone.utc)
        if first.utcoffset() != second.utcoffset():
            is_shown = in_utc.astimezone(self.zone).replace(tzinfo=None) == moment
            what = "was shown twice" if is_shown else "was never shown"
            raise ValueError(f"{what} by the clocks of {self.zone}: they were changed")
        return f"{in_utc.replace(tzinfo=None).isoformat()}{fraction}+00:00"

    def _since_epoch(self, text: str, tally: Counter[str]) -> str:
        number = Decimal(text)
        unit = self.unit or _unit_of(number)
        if unit is None:
            raise ValueError(
                "is a number that may be many a time",
                "Say what it counts, time_unit (--time-unit), or how it is written, time_format "
                "(--time-format), e.g. %Y%m%d",
            )
        if self.unit is None:
            tally[f"times are numbers, taken as {_NAMES[unit]} since 1970"] += 1
        seconds = number.scaleb(-_DIGITS[unit], _CONTEXT)
        whole = seconds.to_integral_value(ROUND_FLOOR)
        moment = _EPOCH + timedelta(seconds=int(whole))
        fraction = _CONTEXT.subtract(seconds, whole)
        digits = format(fraction, "f")[1:].rstrip("0").rstrip(".") if fraction else ""
        return f"{moment.replace(tzinfo=None).isoformat()}{digits}+00:00"


def check_form(form: str) -> None:
    """Refuse a format that would have Python invent a part of a time, or pass one over.

    Raises:
        ConfigurationError: It is no format, or a part is missing.
    """
    directives = set(re.findall(r"%(.)", form.replace("%%", "")))
    if not directives & _YEARS:
        problem = "has no year, which would be 1900"
    elif not directives & _DAYS:
        problem = "has no day, which would be the first"
    elif "I" in directives and not directives & set("pc"):
        problem = "has %I without %p: it would always be morning"
    elif "Z" in directives:
        problem = "has %Z, which Python passes over: use %z, or time_zone"
    else:
        problem = _problem_of(form)
    if problem:
        raise ConfigurationError(f"time_format {problem}, got {shown(form)}", field="time_format")


def _problem_of(form: str) -> str:
    """What Python has against a format; empty if it takes it."""
    try:
        datetime.strptime("", form)  # noqa: DTZ007 - it is not used
    except ValueError as error:  # of an empty text, too
        return str(error) if "directive" in str(error) or "stray" in str(error) else ""
    except re.error:
        return "has a directive twice"
    return ""


def zone_of(name: str | None) -> tzinfo | None:
    """The time zone of a name, e.g. ``Europe/Berlin``, ``UTC`` or ``+02:00``.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if name is None:
        return None
    if name in {"UTC", "Z"}:
        return timezone.utc
    match = _OFFSET.fullmatch(name)
    if match is not None:
        offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
        return timezone(-offset if match["sign"] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError, AttributeError):
        raise ConfigurationError(
            f"time_zone must be a name such as Europe/Berlin, got {shown(name)}",
            field="time_zone",
            hint="On a system that has no time zones, pip install tzdata brings them",
        ) from None


def _unit_of(number: Decimal) -> TimeUnit | None:
    """What a number counts since 1970, by its size; None where that does not say it."""
    digits = str(int(number))
    is_second = len(digits) == len(str(_HOURS_OF_2033)) and number < _HOURS_OF_2033
    if _CALENDAR.fullmatch(digits) and not is_second:
        return None  # 2026013112 is an hour of a day, and not of 2034
    for unit, count in _DIGITS.items():
        if _EARLIEST * 10**count <= number < _LATEST * 10**count:
            return cast("TimeUnit", unit)
    return None


def _text_of(value: object) -> str:
    """A text, or a number's digits."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError("is no time")  # noqa: TRY004 - of the file, not of a caller
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)


def _has_zone(text: str) -> bool:
    signs = text[-6:-4] if len(text) > _LONGEST_DATE else ""
    return text[-1:] in {"Z", "z"} or "+" in signs or "-" in signs


def _with_whole_zone(text: str) -> str:
    """A text with the zone as ISO 8601 has it, of what databases write: +00, or UTC."""
    if text.endswith(" UTC"):
        return f"{text[:-4]}+00:00"
    is_hour = len(text) > _LONGEST_DATE and text[-3] in {"+", "-"}
    return f"{text}:00" if is_hour else text
