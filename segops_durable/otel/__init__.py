"""Metrics and traces of clients, by OpenTelemetry's API.

    from segops_durable.otel import instrument

    client = SegOpsClient("https://api.segops.ai", "sk_...")
    instrument(client, trace=True)

``pip install "segops-durable[otel]"`` brings the API alone: whatever SDK the application sets up
gets what is measured, and without one nothing is done. Names are those of the semantic conventions
for messaging where there is one, and begin with ``segops.`` where there is none.

- `instrumentation`: where a client is connected with what measures.
- `standing`: gauges and counters of what `SegOpsClient.stats` knows, asked for at each collection.
- `sends`: a span, a count and a duration for each request, and the age of what was delivered.
- `origins`: which span was current when an event was tracked.
"""

from __future__ import annotations

try:
    from segops_durable.otel.instrumentation import instrument
except ModuleNotFoundError as _error:
    if not (_error.name or "").startswith("opentelemetry"):
        raise
    raise ImportError(
        'opentelemetry-api is not installed: pip install "segops-durable[otel]"', name=_error.name
    ) from _error

__all__ = ["instrument"]
