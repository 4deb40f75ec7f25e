"""What is loaded, and which providers are used: in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ConfigurationError
from segops_durable.otel import instrument
from segops_durable.testing import MemoryClient

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


def said(code: str, *arguments: object) -> str:
    """What a program prints; whatever it logs would be there as well."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def test_a_client_loads_nothing_of_opentelemetry_though_it_is_installed(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    code = """
import sys
from segops_durable import SegOpsClient
with SegOpsClient(sys.argv[1], "sk_test", queue_path=sys.argv[2]) as client:
    client.track(user_id="u", event_type="seen")
    assert client.flush().ok
assert [name for name in sys.modules if "opentelemetry" in name or ".otel" in name] == []
"""
    assert said(code, sandbox.url, tmp_path / "outbox.db") == ""


def test_without_the_extra_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["opentelemetry"] = None
try:
    import segops_durable.otel
except ImportError as error:
    print(error)
"""
    assert said(code) == (
        'opentelemetry-api is not installed: pip install "segops-durable[otel]"\n'
    )


def test_the_global_providers_may_be_set_before_or_after() -> None:
    code = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from segops_durable.otel import instrument
from segops_durable.testing import MemoryClient

clients = [MemoryClient(f"http://localhost:{port}", "sk_test") for port in (1, 2)]
instrument(clients[0])
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
instrument(clients[1])
(resource,) = reader.get_metrics_data().resource_metrics
(scope,) = resource.scope_metrics
print(scope.scope.name, *{len(each.data.data_points) for each in scope.metrics
                          if each.name == "segops.outbox.waiting"})
"""
    assert said(code) == "segops_durable 2\n"


def test_without_an_sdk_all_goes_on_as_before(sandbox: Sandbox, tmp_path: Path) -> None:
    code = """
import sys
from segops_durable import SegOpsClient
from segops_durable.otel import instrument
with SegOpsClient(sys.argv[1], "sk_test", queue_path=sys.argv[2]) as client:
    instrument(client, trace=True)
    client.track(user_id="u", event_type="seen")
    assert client.flush().ok
"""
    assert said(code, sandbox.url, tmp_path / "outbox.db") == ""
    assert len(sandbox.events()) == 1


@pytest.mark.parametrize("wrong", ["client", "trace", "meter_provider", "tracer_provider"])
def test_what_cannot_be_measured_or_measure_is_refused_by_its_name(wrong: str) -> None:
    given: dict[str, Any] = {"client": MemoryClient("http://localhost:1", "sk_test"), wrong: "no"}
    with pytest.raises(ConfigurationError, match=f"^{wrong} must be .*, got 'no'"):
        instrument(**given)
