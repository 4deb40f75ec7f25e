"""Hours of the day in which a command may send: ``--only-between 22:00-05:00``."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_F = TypeVar("_F", bound="Callable[..., Any]")

_HOURS = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)-(?:([01]?\d|2[0-3]):([0-5]\d)|24:00)")
_LOOK_AGAIN = 60.0
"""Seconds after which the clock is looked at anew: it may be set, or jump to summer."""

_ONE_DAY = timedelta(days=1)


class Hours(NamedTuple):
    """From one time of the day up to another, which may be on the next day.

    Attributes:
        start: The first minute.
        end: The first after it; midnight is the end of the day.
    """

    start: time
    end: time

    def has(self, now: time) -> bool:
        """Whether a time is within."""
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


def hours_of(text: str) -> Hours:
    """Read ``HH:MM-HH:MM``.

    Raises:
        click.BadParameter: It is none.
    """
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no time like 02:00-05:00")
    hour, minute, last_hour, last_minute = found.groups()
    hours = Hours(time(int(hour), int(minute)), time(int(last_hour or 0), int(last_minute or 0)))
    if hours.start == hours.end and last_hour is not None:
        raise click.BadParameter(f"{text!r} begins and ends at the same time")
    return hours


def _all_hours(
    _context: click.Context, _option: click.Parameter, texts: tuple[str, ...]
) -> tuple[Hours, ...]:
    return tuple(map(hours_of, texts))


def at_hours(command: _F) -> _F:
    """Give a command the option --only-between."""
    return click.option(
        "--only-between",
        multiple=True,
        callback=_all_hours,
        metavar="HH:MM-HH:MM",
        help="Send at these hours only, by the local time; 22:00-05:00 is over midnight. May be "
        "given several times. Outside of them nothing is sent.",
    )(command)


def may_send_at(
    hours: Sequence[Hours], now: Callable[[], datetime] = datetime.now
) -> Callable[[], bool | float] | None:
    """What the option `may_send` of a client is then; None where there are no hours.

    Args:
        hours: When may be sent.
        now: Says the local time. Defaults to the machine's.
    """
    if not hours:
        return None

    def may_send() -> bool | float:
        moment = now()
        if any(each.has(moment.time()) for each in hours):
            return True
        return min(_LOOK_AGAIN, *(_seconds_until(each.start, moment) for each in hours))

    return may_send


def _seconds_until(start: time, now: datetime) -> float:
    begin = datetime.combine(now.date(), start)
    # by the clock on the wall, as it shows now: it is looked at again before that could matter
    return (begin - now.replace(tzinfo=None)) % _ONE_DAY / timedelta(seconds=1) or _LOOK_AGAIN
