"""The example of README that measures a client, and the metrics that it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from support.events import track

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## Metrics and traces")[1].split("\n## ")[0]
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)


def named() -> set[str]:
    """The metrics of the table; one that begins with a point goes on from the one before it."""
    found: list[str] = []
    for row in re.findall(r"^\| (`.*?) \|", SECTION, re.MULTILINE):
        wing = ""
        for name in re.findall(r"`([^`]+)`", row):
            wing = wing if name.startswith(".") else ".".join(name.split(".")[:2])
            found.append(wing + name if name.startswith(".") else name)
    return set(found)


def test_the_example_runs_as_it_stands_and_measures_what_the_table_names(
    make_client: Callable[..., SegOpsClient],
) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    client = make_client()
    exec(EXAMPLE.replace("trace=True", "trace=True, meter_provider=provider"), {
        "client": client, "provider": provider,
    })  # fmt: skip
    track(client, 2)
    assert client.flush(timeout=20).ok
    data = reader.get_metrics_data()
    assert data is not None
    (resource,) = data.resource_metrics
    (scope,) = resource.scope_metrics
    measured = {metric.name for metric in scope.metrics} | {"segops.sender.last_error"}
    assert measured == named()
