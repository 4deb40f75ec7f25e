"""What a real SDK of OpenTelemetry is given, kept in memory for a test to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from segops_durable.otel import instrument

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from segops_durable import SegOpsClient
    from segops_durable.aio import AsyncSegOpsClient


@dataclass
class Seen:
    """A reader of metrics and an exporter of spans, and the providers that feed them."""

    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def __post_init__(self) -> None:
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.tracers.get_tracer("the application's")

    def instrument(self, client: SegOpsClient | AsyncSegOpsClient, *, trace: bool = False) -> None:
        instrument(client, trace=trace, meter_provider=self.meters, tracer_provider=self.tracers)

    def points(self, name: str) -> list[Any]:
        """The data points of a metric; none if nothing was measured."""
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in ([] if data is None else data.resource_metrics)
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def values(self, name: str) -> list[Any]:
        return [each.value for each in self.points(name)]

    def sends(self) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name[:5] == "send "]
