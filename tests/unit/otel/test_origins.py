"""Which span was current when an event was tracked."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from segops_durable.otel.origins import MOST_KNOWN, Origins

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


def tracked_in(number: int, origins: Origins, events: Sequence[bytes]) -> SpanContext:
    """Have events tracked while a span of that number is current."""
    span = SpanContext(1, number, is_remote=False, trace_flags=TraceFlags(1))
    token = context.attach(trace.set_span_in_context(NonRecordingSpan(span)))
    origins.remember(events)
    context.detach(token)
    return span


def test_each_span_is_given_once_in_the_order_of_the_events() -> None:
    origins = Origins()
    first = tracked_in(1, origins, [b"a", b"b"])
    second = tracked_in(2, origins, [b"c"])
    origins.remember([b"d"])  # in none
    assert origins.of([b"c", b"a", b"b", b"d", b"e"]) == [second, first]
    origins.forget([b"a", b"e"])
    assert origins.of([b"a"]) == []
    assert origins.of([b"b"]) == [first]


def test_as_many_are_known_as_may_be_the_oldest_are_forgotten() -> None:
    origins = Origins()
    tracked_in(1, origins, [b"old"])
    new = tracked_in(2, origins, [b"%d" % n for n in range(MOST_KNOWN)])
    assert origins.of([b"old"]) == []
    assert origins.of([b"0"]) == [new]
    assert len(origins._spans) == MOST_KNOWN


def test_many_threads_may_track_at_once() -> None:
    origins = Origins()

    def work(number: int) -> None:
        for n in range(200):
            tracked_in(
                number,
                origins,
                [b"%d %d" % (number, each) for each in range(100 * n, 100 * n + 100)],
            )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(origins._spans) <= MOST_KNOWN + 4 * 100


def test_a_span_of_somebodys_own_that_raises_keeps_no_event_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise RuntimeError("no span")

    monkeypatch.setattr("segops_durable.otel.origins.trace.get_current_span", fail)
    Origins().remember([b"a"])
