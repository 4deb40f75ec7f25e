"""The last hour of an outbox, for a chart, and its rates of now."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
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
        self._hour: deque[Sample] = deque(maxlen=round(_HOUR / SAMPLE_SECONDS) + 1)
        self._recent: deque[Sample] = deque(maxlen=round(_RATE_SECONDS) + 1)

    def add(self, sample: Sample) -> None:
        """Take a sample; it is one of the hour's where the last of those is old enough."""
        with self._lock:
            self._recent.append(sample)
            if not self._hour or sample.monotonic - self._hour[-1].monotonic >= SAMPLE_SECONDS:
                self._hour.append(sample)

    def seconds_to_wait(self, monotonic: float) -> float:
        """How long until the next sample of the hour is to be taken."""
        with self._lock:
            last = self._hour[-1].monotonic if self._hour else None
        return 0.0 if last is None else max(0.0, last + SAMPLE_SECONDS - monotonic)

    def rates(self) -> tuple[float, float]:
        """Events a second that come, and that leave."""
        with self._lock:
            recent = list(self._recent)
        return recent[-1].rates_since(recent[0]) if recent else (0.0, 0.0)

    def points(self) -> list[Point]:
        """What waited, and the rates, at the samples of the last hour and at the last of all."""
        with self._lock:
            samples = [*self._hour]
            last = self._recent[-1] if self._recent else None
        if last is not None and last is not samples[-1]:
            samples.append(last)
        first = samples[:1]
        rates = [each.rates_since(before) for before, each in pairwise(samples)]
        return [
            (round(each.at, 1), float(each.waiting), round(came, 3), round(left, 3))
            for each, (came, left) in zip(
                samples, [(0.0, 0.0), *rates] if first else [], strict=True
            )
        ]
