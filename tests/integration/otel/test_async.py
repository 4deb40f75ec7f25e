"""A client of an event loop is measured as the one within it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from segops_durable import ConfigurationError, UserContext
from segops_durable.aio import AsyncSegOpsClient
from support.events import numbered

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.sandbox import Sandbox
    from support.telemetry import Seen


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("api_key", ["sk_test", "pk_test"])
def test_the_span_of_each_task_is_linked_to(
    backend: str, api_key: str, sandbox: Sandbox, queue_path: Path, seen: Seen
) -> None:
    spans: list[int] = []
    options: dict[str, Any] = {"queue_path": queue_path, "flush_interval": 600}

    async def main() -> None:
        async with AsyncSegOpsClient(
            sandbox.url, api_key, get_user=lambda: UserContext("ann"), **options
        ) as client:
            seen.instrument(client, trace=True)

            async def work(number: int) -> None:
                with seen.tracer.start_as_current_span(f"task {number}") as span:
                    spans.append(span.get_span_context().span_id)
                    await client.track(numbered(1, first=number)[0])

            async with anyio.create_task_group() as tasks:
                for number in range(5):
                    tasks.start_soon(work, number)
            assert (await client.flush(timeout=20)).ok

    anyio.run(main, backend=backend)
    links = [link.context.span_id for span in seen.sends() for link in span.links]
    assert sorted(links) == sorted(spans)
    (sent,) = seen.values("messaging.client.sent.messages")
    assert sent == 5
    assert seen.points("segops.outbox.waiting") == []  # it is shut down


def test_one_that_is_not_started_cannot_be_measured(queue_path: Path, seen: Seen) -> None:
    client = AsyncSegOpsClient("http://localhost:1", "sk_test", queue_path=queue_path)
    with pytest.raises(ConfigurationError, match="before it is started"):
        seen.instrument(client)
