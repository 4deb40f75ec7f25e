"""The last hour of an outbox, for a chart, and its rates of now."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segops_durable.outbox import Counts
    from segops_durable.page import Point

SAMPLE_SECONDS = 15.0
_HOUR = 3600.0
_RATE_SECONDS = 5.0
"""Rates of now are of the last so many seconds: of one second they would jump about."""


@dataclass(frozen=True)
class Sample:
    """An outbox at a moment.

    Attributes:
        at: Unix time in seconds.
        monotonic: The same by a clock that nobody sets.
        waiting: Events that waited.
        stored: Events that were stored, ever.
        accepted: Events that SegOps had accepted, ever.
    """

    at: float
    monotonic: float
    waiting: int
    stored: int
    accepted: int

    @classmethod
    def of(cls, counts: Counts, at: float, monotonic: float) -> Sample:
        """What is kept of how an outbox stands."""
        return cls(at, monotonic, counts.pending, counts.last_id, counts.accepted_total)

    def rates_since(self, before: Sample) -> tuple[float, float]:
        """Events a second that came, and that left, since then."""
        seconds = self.monotonic - before.monotonic
        if seconds <= 0:
            return 0.0, 0.0
        # a file that was put in the place of another one may have fewer
        came = max(0, self.stored - before.stored)
        left = max(0, self.accepted - before.accepted)
        return came / seconds, left / seconds


class History:
    """Samples of the last hour, and those of the last seconds. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._points: deque[Point] = deque(maxlen=round(_HOUR / SAMPLE_SECONDS))
        self._last: Sample | None = None  # the last of those of the hour
        self._recent: deque[Sample] = deque(maxlen=round(_RATE_SECONDS) + 1)

    def add(self, sample: Sample) -> None:
        """Take a sample; it is one of the hour's where the last of those is old enough."""
        with self._lock:
            self._recent.append(sample)
            last = self._last
            if last is None or sample.monotonic - last.monotonic >= SAMPLE_SECONDS:
                self._points.append(_point(sample, last))
                self._last = sample

    def seconds_to_wait(self, monotonic: float) -> float:
        """How long until the next sample of the hour is to be taken."""
        with self._lock:
            last = self._last
        return 0.0 if last is None else max(0.0, last.monotonic + SAMPLE_SECONDS - monotonic)

    def rates(self) -> tuple[float, float]:
        """Events a second that come, and that leave."""
        with self._lock:
            return self._recent[-1].rates_since(self._recent[0]) if self._recent else (0.0, 0.0)

    def points(self) -> list[Point]:
        """What waited, and the rates, at the samples of the last hour."""
        with self._lock:
            return list(self._points)

    def live(self) -> Point | None:
        """The same of the last sample of all."""
        with self._lock:
            if not self._recent:
                return None
            return _point(self._recent[-1], self._recent[0])


def _point(sample: Sample, before: Sample | None) -> Point:
    came, left = (0.0, 0.0) if before is None else sample.rates_since(before)
    return round(sample.at, 1), float(sample.waiting), round(came, 3), round(left, 3)
