"""A span, a count and a duration for each request, as OpenTelemetry's own SDK is given them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from segops_durable import Event, SegOpsClient, SegOpsError
from segops_durable.api import Watch
from segops_durable.otel.sends import Measures, Sends
from support.events import leave, numbered, numbers, track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox
    from support.rig import Rig
    from support.telemetry import Seen


def test_each_request_is_a_span_with_the_names_of_the_conventions(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, seen: Seen
) -> None:
    client = make_client(batch_size=2)
    seen.instrument(client)
    track(client, 3)
    assert client.flush(timeout=20).ok
    port = urlsplit(sandbox.url).port
    spans = seen.sends()
    assert [each.name for each in spans] == [f"send 127.0.0.1:{port}"] * 2
    for span, count in zip(spans, (2, 1), strict=True):
        assert span.kind is SpanKind.CLIENT
        assert span.parent is None
        assert span.links == ()
        assert span.status.status_code is StatusCode.UNSET
        assert dict(span.attributes or {}) == {
            "messaging.system": "segops",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.batch.message_count": count,
            "server.address": "127.0.0.1",
            "server.port": port,
            "http.response.status_code": 202,
        }
    (sent,) = seen.points("messaging.client.sent.messages")
    assert sent.value == 3
    assert "error.type" not in sent.attributes
    (durations,) = seen.points("messaging.client.operation.duration")
    assert (durations.count, durations.explicit_bounds[0]) == (2, 0.005)
    (ages,) = seen.points("segops.outbox.delivery.age")
    assert ages.count == 3
    assert 0 <= ages.min <= ages.max < 300


@pytest.mark.parametrize(
    ("faults", "error", "meaning"),
    [
        ({"status": 503}, "503", "unreachable"),
        ({"reset": "before"}, "unreachable", "unreachable"),
        ({"portal": True}, "not_segops", "not SegOps"),
        ({"status": 429, "retry_after": 60}, "429", "busy"),
        ({"status": 401, "json": {"detail": "of ann"}}, "401", "credentials"),
    ],
)
def test_a_request_that_fails_says_why_and_repeats_nothing_that_was_answered(
    faults: dict[str, Any],
    error: str,
    meaning: str,
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    seen: Seen,
) -> None:
    sandbox.faults(**faults)
    client = make_client(max_retries=0)
    seen.instrument(client)
    track(client, 2)
    client.flush(timeout=20)
    span = seen.sends()[0]
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, meaning)
    assert (span.attributes or {})["error.type"] == error
    assert "ann" not in str(span.attributes)
    sent = seen.points("messaging.client.sent.messages")
    assert {each.attributes["error.type"] for each in sent} == {error}
    assert seen.points("segops.outbox.delivery.age") == []


def test_a_span_is_linked_to_those_in_which_its_events_were_tracked(
    make_client: Callable[..., SegOpsClient], seen: Seen
) -> None:
    client = make_client()
    seen.instrument(client, trace=True)
    with seen.tracer.start_as_current_span("checkout") as checkout:
        client.track_many(numbered(2))
    with seen.tracer.start_as_current_span("payment") as payment:
        client.track(numbered(1, first=2)[0])
    client.track(numbered(1, first=3)[0])  # in none
    assert client.flush(timeout=20).ok
    links = [link.context.span_id for span in seen.sends() for link in span.links]
    assert sorted(links) == sorted(each.get_span_context().span_id for each in (checkout, payment))
    assert all(span.parent is None for span in seen.sends())
    assert client._intake.before_append is not None
    origins: Any = client._intake.before_append
    assert origins.__self__._spans == {}  # what was delivered is forgotten


def test_without_trace_no_span_is_linked(
    make_client: Callable[..., SegOpsClient], seen: Seen
) -> None:
    client = make_client()
    seen.instrument(client)
    with seen.tracer.start_as_current_span("checkout"):
        track(client, 2)
    assert client.flush(timeout=20).ok
    assert [span.links for span in seen.sends()] == [()]


def test_a_retry_and_a_later_round_are_linked_as_well(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, seen: Seen
) -> None:
    sandbox.faults(status=503, times=2)
    client = make_client(max_retries=1)
    seen.instrument(client, trace=True)
    with seen.tracer.start_as_current_span("checkout") as checkout:
        track(client, 2)
    while client.flush(timeout=20).pending:
        continue
    spans = seen.sends()
    assert len(spans) == 3
    for span in spans:
        assert [link.context.span_id for link in span.links] == [
            checkout.get_span_context().span_id
        ]


def test_segops_gets_the_same_bytes_under_the_same_key_with_and_without_spans(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, tmp_path: Path, seen: Seen
) -> None:
    events = [Event("u", "seen", "2026-01-31T12:00:00Z", {"n": n}) for n in range(3)]
    for is_traced in (True, False):
        client = make_client(queue_path=tmp_path / f"{is_traced}.db")
        client._outbox._binding.uuid = "0" * 8 + "-0000" * 3 + "-" + "0" * 12
        if is_traced:
            seen.instrument(client, trace=True)
        with seen.tracer.start_as_current_span("checkout"):
            client.track_many(events)
        assert client.flush(timeout=20).ok
        leave(client)
    first, second = sandbox.requests()
    for same in ("body_sha256", "idempotency_key"):
        assert first[same] == second[same]


def test_what_an_earlier_process_left_is_sent_without_a_link(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, seen: Seen
) -> None:
    sandbox.stop()
    client = make_client()
    seen.instrument(client, trace=True)
    with seen.tracer.start_as_current_span("checkout"):
        track(client, 2)
    leave(client)
    sandbox.start()
    again = make_client(flush_interval=600)
    seen.instrument(again, trace=True)
    assert again.flush(timeout=20).ok
    assert [link for span in seen.sends() for link in span.links if span.status.is_ok] == []
    assert len(numbers(sandbox)) == 2


def test_the_span_is_current_while_the_request_is_made_and_no_longer(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, seen: Seen
) -> None:
    during: list[int] = []
    after: list[bool] = []

    class Session(requests.Session):
        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            during.append(trace.get_current_span().get_span_context().span_id)
            return super().send(*args, **kwargs)

    def on_error(_error: SegOpsError) -> None:
        after.append(trace.get_current_span().get_span_context().is_valid)

    sandbox.faults(status=503)
    client = make_client(http_session=Session(), on_error=on_error, max_retries=0)
    seen.instrument(client)
    track(client, 1)
    client.flush(timeout=20)
    assert during[:1] == [span.context.span_id for span in seen.sends() if span.context][:1]
    assert after[:1] == [False]


def test_a_span_that_happens_to_be_current_where_it_is_sent_is_no_parent_of_it(
    make_rig: Callable[..., Rig], sandbox: Sandbox, seen: Seen
) -> None:
    rig = make_rig(sandbox.url)
    measures = Measures(seen.meters.get_meter("segops_durable"))
    rig.delivery.look_on(Watch(Sends(sandbox.url, measures, seen.tracer, None)))
    rig.append(1)
    with seen.tracer.start_as_current_span("shutdown"):
        rig.round()
    assert [span.parent for span in seen.sends()] == [None]


@pytest.mark.parametrize("lanes", [1, 3])
def test_an_sdk_that_raises_ends_no_round(
    lanes: int,
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    seen: Seen,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    client = make_client(max_in_flight=lanes, batch_size=2)
    seen.instrument(client, trace=True)
    for transport in client._delivery.current._transports:
        assert transport.watch is not None
        transport.watch._observer._measures = Broken()  # type: ignore[attr-defined]
    with seen.tracer.start_as_current_span("checkout"):
        track(client, 10)
    assert client.flush(timeout=20).ok
    assert sorted(numbers(sandbox)) == list(range(10))
    assert [record.message for record in caplog.records if "observer" in record.message] == [
        "an observer of the requests raised RuntimeError('sent'); events are sent all the same"
    ]
    assert len(seen.sends()) == 5  # they ended all the same


def test_a_key_is_in_no_span(make_client: Callable[..., SegOpsClient], seen: Seen) -> None:
    client = make_client("sk_live_0123456789abcdef")
    seen.instrument(client, trace=True)
    track(client, 1)
    client.flush(timeout=20)
    assert "sk_live" not in json.dumps([json.loads(span.to_json()) for span in seen.sends()])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_the_requests_of_a_child_of_a_fork_are_measured_as_well(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, seen: Seen
) -> None:
    client = make_client()
    seen.instrument(client, trace=True)
    assert client._delivery.current.flusher.stop(30)  # the child is to be the sender
    child = os.fork()
    if not child:
        status = 1
        try:
            with seen.tracer.start_as_current_span("checkout"):
                track(client, 1)
            assert client.flush(timeout=20).ok
            assert [len(span.links) for span in seen.sends()] == [1]
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(numbers(sandbox)) == 1
