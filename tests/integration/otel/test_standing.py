"""Gauges and counters of what a client says of itself, collected by OpenTelemetry's own SDK."""

from __future__ import annotations

import gc
import os
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from segops_durable import SegOpsClient, Stats, UserContext
from segops_durable.otel.instrumentation import _instruments_of
from segops_durable.testing import MemoryClient
from support.events import track

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.sandbox import Sandbox
    from support.telemetry import Seen

OF_STATS = {
    "pending": "segops.outbox.waiting",
    "dead": "segops.outbox.dead_letters",
    "oldest_age": "segops.outbox.oldest.age",
    "queue_bytes": "segops.outbox.size",
    "accepted_total": "segops.outbox.accepted",
    "dropped_total": "segops.outbox.dropped",
    "lost_total": "segops.outbox.lost",
    "expired_total": "segops.outbox.expired",
    "state": "segops.sender.state",
    "retry_at": "segops.sender.retry.delay",
    "last_error": "segops.sender.last_error",
    "last_accepted_at": "segops.outbox.last_accepted",
    "held": "segops.outbox.held",
    "screened_out": "segops.outbox.screened_out",
    "requests_per_minute": "segops.sender.requests_per_minute",
}


def test_each_field_of_the_stats_has_a_metric() -> None:
    assert set(OF_STATS) == {field.name for field in fields(Stats)}


def test_all_that_the_stats_know_is_collected(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, seen: Seen
) -> None:
    client = make_client(
        before_store=lambda event: None if event.user_id == "robot" else event,
        max_queue_events=2,
        overflow="drop_oldest",
        max_requests_per_minute=6000,
    )
    track(client, 2)
    client.track(user_id="robot", event_type="seen")
    assert client.flush(timeout=20).ok
    sandbox.stop()
    track(client, 2)
    track(client, 2)
    assert client.flush(timeout=20).pending == 2
    seen.instrument(client)
    stats = client.stats()
    assert stats.last_accepted_at is not None
    assert seen.values("segops.outbox.waiting") == [stats.pending] == [2]
    assert seen.values("segops.outbox.dead_letters") == [0]
    assert seen.values("segops.outbox.held") == [0]
    assert seen.values("segops.outbox.accepted") == [2]
    assert seen.values("segops.outbox.dropped") == [stats.dropped_total]
    assert seen.values("segops.outbox.lost") == [0]
    assert seen.values("segops.outbox.screened_out") == [1]
    assert seen.values("segops.outbox.last_accepted") == [stats.last_accepted_at.timestamp()]
    assert seen.values("segops.outbox.oldest.age")[0] > 0
    assert seen.values("segops.outbox.size")[0] > 4096
    assert seen.values("segops.sender.retry.delay")[0] >= 0
    assert seen.values("segops.sender.requests_per_minute") == [6000]
    (error,) = seen.points("segops.sender.last_error")
    assert (error.value, error.attributes["error.type"]) == (
        1,
        type(stats.last_error).__name__,
    )
    states = {
        each.attributes["segops.sender.state"]: each.value
        for each in seen.points("segops.sender.state")
    }
    assert sum(states.values()) == 1
    assert states["backing_off"] == 1
    for name in OF_STATS.values():
        assert {each.attributes["segops.outbox"] for each in seen.points(name)} == {
            str(client._outbox.path)
        }


def test_nothing_of_a_user_is_in_a_metric(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, seen: Seen
) -> None:
    sandbox.configure(require_signed=True)
    client = make_client("pk_test", get_user=lambda: UserContext("ann@example.com"))
    client.track(user_id="ann@example.com", event_type="seen")
    client.flush(timeout=20)
    seen.instrument(client)
    assert seen.values("segops.outbox.held") == [1]
    assert "ann" not in str(seen.reader.get_metrics_data())


def test_clients_are_told_apart_and_are_gone_once_they_are_shut_down(
    seen: Seen, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    first, second = (MemoryClient(f"http://localhost:{port}", "sk_test") for port in (1, 2))
    seen.instrument(first)
    seen.instrument(second)
    seen.instrument(second)  # twice is once
    assert len(_instruments_of(seen.meters).standing._clients) == 2
    first.track(user_id="u", event_type="seen")
    assert sorted(seen.values("segops.outbox.waiting")) == [0, 1]
    second.shutdown()
    wait_until(lambda: seen.values("segops.outbox.waiting") == [1])


def test_a_client_that_nobody_refers_to_is_gone(seen: Seen) -> None:
    client = MemoryClient("http://localhost:1", "sk_test")
    seen.instrument(client)
    assert seen.values("segops.outbox.waiting") == [0]
    del client
    gc.collect()
    assert seen.points("segops.outbox.waiting") == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_that_does_not_use_the_client_is_not_made_to_by_a_collection(
    make_client: Callable[..., SegOpsClient], seen: Seen
) -> None:
    client = make_client()
    seen.instrument(client)
    assert seen.values("segops.outbox.waiting") == [0]
    child = os.fork()
    if not child:
        status = 1
        try:
            assert seen.points("segops.outbox.waiting") == []
            assert client._delivery.is_asleep
            client.track(user_id="u", event_type="seen")
            assert seen.values("segops.outbox.waiting") != []
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_instruments_of_one_provider_are_made_once_for_all_clients(
    seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    clients = [MemoryClient(f"http://localhost:{port}", "sk_test") for port in range(1, 4)]
    for client in clients:
        seen.instrument(client)
    assert len(seen.points("segops.outbox.waiting")) == 3
    assert caplog.records == []  # an SDK warns of a second one
