"""Which span was current when an event was tracked, for as long as this process knows.

It is kept beside the outbox, in memory: an event is stored and sent as it would be without it, and
the file has no place for it. So what another process has tracked, or this one before it was started
again, is sent without a link; and so is an event whose time was corrected.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from opentelemetry import trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opentelemetry.trace import SpanContext

MOST_KNOWN = 10_000
"""Events whose spans are known at most; those of the oldest are forgotten."""


class Origins:
    """The spans of events, by their bytes. For any thread, and for signal handlers: no lock."""

    def __init__(self) -> None:
        self._spans: dict[int, SpanContext] = {}

    def remember(self, events: Sequence[bytes]) -> None:
        """Note the current span as that of encoded events; never raises."""
        with suppress(Exception):  # whatever a span of somebody's own may do
            span = trace.get_current_span().get_span_context()
            if span.is_valid:
                self._spans.update(dict.fromkeys(map(hash, events), span))
                self._bound()

    def of(self, events: Iterable[bytes]) -> list[SpanContext]:
        """The spans of events, each once, in their order."""
        found = (self._spans.get(hash(each)) for each in events)
        return list({(span.trace_id, span.span_id): span for span in found if span}.values())

    def forget(self, events: Iterable[bytes]) -> None:
        """Forget the spans of events that are not sent any more."""
        for each in events:
            self._spans.pop(hash(each), None)

    def _bound(self) -> None:
        while len(self._spans) > MOST_KNOWN:
            # another thread may add one between the two steps, or take the same one
            with suppress(RuntimeError, StopIteration):
                self._spans.pop(next(iter(self._spans)), None)
