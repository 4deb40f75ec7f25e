"""A span, a count and a duration for each request; the age of events when they are delivered."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from opentelemetry import context, trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from segops_durable.api import Meaning
from segops_durable.system.clock import Clock, corrected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.metrics import Counter, Histogram, Meter
    from opentelemetry.trace import Span, Tracer

    from segops_durable.api import Sendable, Verdict
    from segops_durable.otel.origins import Origins
    from segops_durable.outbox import Row

_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""As the semantic conventions say of ``messaging.client.operation.duration``."""
_AGES = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400, 604_800)

_HTTPS, _HTTP = 443, 80


class Measures:
    """What requests are measured by: one set for each meter.

    Args:
        meter: What makes the instruments.
    """

    def __init__(self, meter: Meter) -> None:
        self.sent: Counter = meter.create_counter(
            "messaging.client.sent.messages",
            unit="{message}",
            description="Events in requests that were made; with an error.type those that failed.",
        )
        self.durations: Histogram = meter.create_histogram(
            "messaging.client.operation.duration",
            unit="s",
            description="Duration of requests.",
            explicit_bucket_boundaries_advisory=_DURATIONS,
        )
        self.ages: Histogram = meter.create_histogram(
            "segops.outbox.delivery.age",
            unit="s",
            description="Time from when an event was tracked to when SegOps had accepted it.",
            explicit_bucket_boundaries_advisory=_AGES,
        )


class Sends:
    """Looks on at the requests of a client, as `api.Observer` has it.

    A span is the client's, kind ``CLIENT``, and has no parent: it is linked to those of its events.
    It is current while the request is made, so that those of HTTP libraries are below it.

    Args:
        api_url: Where the requests go.
        measures: What they are measured by.
        tracer: What makes the spans.
        origins: The spans of events; None where they are not asked for.
    """

    def __init__(
        self, api_url: str, measures: Measures, tracer: Tracer, origins: Origins | None
    ) -> None:
        address = urlsplit(api_url)
        host = address.hostname or ""
        port = address.port or (_HTTPS if address.scheme == "https" else _HTTP)
        self._name = f"send {host}:{port}"
        self._attributes: dict[str, str | int] = {
            "messaging.system": "segops",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "server.address": host,
            "server.port": port,
        }
        self._tracer = tracer
        self._origins = origins
        self._clock = Clock()
        self._measures = measures

    def begin(self, batch: Sendable) -> Callable[[Verdict | None], object]:
        """Begin a span, and return what ends it."""
        rows = cast("Sequence[Row]", batch.rows)  # they are an outbox's
        data = [row.data for row in rows]
        links = [] if self._origins is None else [Link(each) for each in self._origins.of(data)]
        span = self._tracer.start_span(
            self._name,
            context=context.Context(),
            kind=SpanKind.CLIENT,
            attributes={**self._attributes, "messaging.batch.message_count": len(rows)},
            links=links,
        )
        token = context.attach(trace.set_span_in_context(span))
        began = time.perf_counter()

        def end(verdict: Verdict | None) -> None:
            seconds = time.perf_counter() - began
            context.detach(token)
            try:
                self._measure(rows, verdict, seconds)
                if self._origins is not None and verdict is not None and _is_over(verdict):
                    self._origins.forget(data)
            finally:
                with suppress(Exception):
                    _conclude(span, verdict)
                span.end()

        return end

    def _measure(self, rows: Sequence[Row], verdict: Verdict | None, seconds: float) -> None:
        if verdict is not None and verdict.meaning is Meaning.WITHDRAWN:
            return  # no request was made
        error = _error_of(verdict)
        attributes = (
            self._attributes if error is None else {**self._attributes, "error.type": error}
        )
        self._measures.sent.add(len(rows), attributes)
        self._measures.durations.record(seconds, attributes)
        if error is None:
            now = self._clock.moment()
            for row in rows:
                then = corrected(row.moment, now)
                age = now.wall - (row.tracked_at if then is None else then)
                self._measures.ages.record(max(0.0, age), self._attributes)


def _is_over(verdict: Verdict) -> bool:
    """Whether the events of a request are in no other one."""
    return verdict.meaning in {Meaning.ACCEPTED, Meaning.WITHDRAWN}


def _error_of(verdict: Verdict | None) -> str | None:
    """Why a request failed, in few words: a status, or what it means; None if it did not."""
    if verdict is None:
        return "_OTHER"
    if verdict.meaning is Meaning.ACCEPTED:
        return None
    if verdict.meaning is not Meaning.NOT_SEGOPS and verdict.status is not None:
        return str(verdict.status)
    return verdict.meaning.name.lower()


def _conclude(span: Span, verdict: Verdict | None) -> None:
    """Say on a span what became of its request; no words of a server, which may name users."""
    error = _error_of(verdict)
    if verdict is not None and verdict.status is not None:
        span.set_attribute("http.response.status_code", verdict.status)
    if verdict is not None and verdict.skipped:
        span.set_attribute("segops.skipped_events", verdict.skipped)
    if error is not None:
        span.set_attribute("error.type", error)
        span.set_status(
            Status(StatusCode.ERROR, None if verdict is None else verdict.meaning.value)
        )
