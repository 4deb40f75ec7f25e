"""Forty clients with a backlog each, on one plan of 60 calls a minute, by clocks that hurry."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import SegOpsClient
from segops_durable.api import Pacer
from segops_durable.sandbox.settings import RateLimit
from support.clock import FastClock
from support.events import numbered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

pytestmark = [pytest.mark.long, pytest.mark.one_python]

SPEED = 20.0
CLIENTS = 40
BEFORE, MEASURED = 120.0, 360.0
"""Seconds of the clients' clocks: in which they learn, and in which is counted."""


@pytest.mark.parametrize("options", [{}, {"max_requests_per_minute": 60, "fleet_size": CLIENTS}])
def test_forty_clients_use_a_plan_and_are_hardly_refused(
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., None],
    options: dict[str, Any],
) -> None:
    clock = FastClock(SPEED)
    sandbox._app._limit = RateLimit(clock.monotonic)
    sandbox.configure(plan="free")
    monkeypatch.setattr("segops_durable.client.client.Clock", lambda: clock)
    start = threading.Event()  # all are there when the first asks: from cold, and at once
    wait_for_turn = Pacer.wait_for_turn

    def wait_for_start(pacer: Pacer) -> float | None:
        start.wait()
        return wait_for_turn(pacer)

    monkeypatch.setattr(Pacer, "wait_for_turn", wait_for_start)
    with ExitStack() as clients:
        fleet = [
            SegOpsClient(
                sandbox.url,
                "sk_test",
                queue_path=tmp_path / f"{number}.db",
                batch_size=1,
                durability="normal",
                on_error=lambda _error: None,
                shutdown_timeout=0.0,
                **options,
            )
            for number in range(CLIENTS)
        ]
        for client in fleet:
            clients.callback(client.shutdown)
            client.track_many(numbered(200))
        clients.callback(start.set)
        began = clock.monotonic()
        start.set()
        wait_until(lambda: clock.monotonic() > began + BEFORE + MEASURED)
        assert all(client.stats().pending for client in fleet)
    now, moment = time.time(), clock.monotonic()
    found = [
        request["answer"]
        for request in sandbox.requests()
        if BEFORE < moment - (now - request["at"]) * SPEED - began <= BEFORE + MEASURED
    ]
    refused = found.count("429")
    used = found.count("202") / MEASURED
    assert refused / len(found) <= 0.02
    assert used >= 0.8
