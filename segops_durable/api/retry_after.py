"""How long an answer asks us to wait: ``Retry-After``, and the server's own clock."""

from __future__ import annotations

import re
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


_LONGEST_DATE = 100


def http_date(header: str | None) -> datetime | None:
    """Read the date of a header, or None where it is not one."""
    text = header or ""
    if not text.isascii() or len(text) > _LONGEST_DATE:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, LookupError, ArithmeticError):  # a huge zone overflows
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?")


def retry_after_seconds(header: str | None, now: datetime, longest: float) -> float | None:
    """Read a ``Retry-After`` header: seconds, or a date (RFC 9110, section 10.2.3).

    Args:
        header: The header's value, or None where there is none.
        now: The time that a date is compared with.
        longest: Seconds that it may ask for at most.

    Returns:
        Seconds to wait, or None where the header is missing or says nothing.
    """
    text = (header or "").strip()
    asked = [part.strip() for part in text.split(",")]  # of a header that came more than once
    if all(_SECONDS.fullmatch(part) for part in asked):
        return min(max(map(float, asked)), longest)
    moment = http_date(text)
    if moment is None:
        return None
    return min(max((moment - now).total_seconds(), 0.0), longest)
