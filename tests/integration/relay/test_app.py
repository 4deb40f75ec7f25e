"""What a relay answers to those who post events, and what becomes of these."""

from __future__ import annotations

import gzip
import json
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable.relay.documents import read_document
from support.relays import RelayProcess, RunningRelay, event

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.sandbox import Sandbox

    Wait = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.one_python

BATCH = "/api/ingestion/track/batch/"


def numbers(sandbox: Sandbox) -> list[int]:
    return [row["event"]["payload"]["n"] for row in sandbox.events()]


def test_a_batch_is_answered_as_segops_would_and_delivered(
    relay: RunningRelay, sandbox: Sandbox, wait_until: Wait
) -> None:
    answer = relay.track(event(1), event(2))
    assert (answer.status_code, answer.json()) == (202, {"queued": 2, "skipped": 0})
    single = relay.post("/api/ingestion/track/", event(3))
    assert (single.status_code, single.json()) == (202, {"queued": True})
    wait_until(lambda: len(sandbox.events()) == 3)
    assert numbers(sandbox) == [1, 2, 3]
    assert relay.stop() == 0


def test_what_was_answered_survives_a_kill_and_is_delivered_by_the_next_life(
    relay_process: RelayProcess, sandbox: Sandbox, wait_until: Wait
) -> None:
    relay = relay_process
    sandbox.stop()
    assert relay.track(*map(event, range(20))).status_code == 202
    relay.kill()
    sandbox.start()
    relay.start()
    wait_until(lambda: len(sandbox.events()) == 20)
    assert numbers(sandbox) == [*range(20)]


def test_fields_that_are_not_known_go_on_untouched_and_a_missing_time_is_filled_in(
    relay: RunningRelay, sandbox: Sandbox, wait_until: Wait
) -> None:
    sent = event(
        1,
        occurred_at="2026-01-31T12:00:00Z",
        anonymous_id="device-1",
        context={"library": "segops-kotlin", "big": 12345678901234567890123, "list": [1, None]},
        priority="of theirs",
    )
    assert relay.track(sent, event(2, occurred_at=None)).status_code == 202
    wait_until(lambda: len(sandbox.events()) == 2)
    first, second = (row["event"] for row in sandbox.events())
    assert first == {**sent, "occurred_at": "2026-01-31T12:00:00+00:00"}
    assert second["occurred_at"].endswith("+00:00")


@pytest.mark.parametrize(
    ("bad", "answer"),
    [
        ({"user_id": 5}, {"events[1].user_id": ["must be a non-empty string, got 5"]}),
        ({"user_id": ""}, {"events[1].user_id": ["must be a non-empty string, got ''"]}),
        ({"event_type": None}, {"events[1].event_type": ["must be a non-empty string, got None"]}),
        ({"payload": []}, {"events[1].payload": ["must be a dict, got []"]}),
        (
            {"occurred_at": "yesterday"},
            {
                "events[1].occurred_at": [
                    "must be ISO 8601 with a time zone, e.g. 2026-01-31T12:00:00Z, got 'yesterday'"
                ]
            },
        ),
        ({"anonymous_id": 7}, {"events[1].anonymous_id": ["must be a non-empty string, got 7"]}),
    ],
)
def test_a_batch_with_an_event_that_cannot_be_sent_is_refused_as_a_whole(
    relay: RunningRelay, sandbox: Sandbox, bad: dict[str, Any], answer: dict[str, Any]
) -> None:
    sandbox.stop()
    found = relay.track(event(1), {**event(2), **bad})
    assert (found.status_code, found.json()) == (400, answer)
    assert relay.waiting() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"events": [{"user_id": "u", "event_type": "x", "payload": {"n": NaN}}]}',
        b'{"events": [{"user_id": "u", "event_type": "x", "payload": {"n": 1e999}}]}',
        b'{"events": [{"user_id": "u", "user_id": "v", "event_type": "x"}]}',
        b'{"events": [{"user_id": "\\ud800", "event_type": "x"}]}',
        b'{"events": [{"user_id": "u", "event_type": "x", "payload": {"\\udc00": 1}}]}',
        b'{"events": [{"user_id": "u", "event_type": "x", "more": ["\\udc00"]}]}',
        b'{"events": []}',
        b'{"events": {"0": 1}}',
        b'{"events": ["x"]}',
        b'{"event": []}',
        b'{"events": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_batch_is_refused_in_segops_own_form_and_not_stored(
    relay: RunningRelay, sandbox: Sandbox, body: bytes
) -> None:
    sandbox.stop()
    found = relay.post(BATCH, data=body)
    assert found.status_code == 400, found.text
    assert found.headers["Content-Type"] == "application/json"
    assert isinstance(found.json(), dict)
    assert relay.waiting() == 0
    assert relay.track(event(1)).status_code == 202


@pytest.mark.parametrize("depth", [250, 300, 900])
def test_what_is_nested_deeply_goes_on_as_it_is_whoever_writes_it(
    relay: RunningRelay, sandbox: Sandbox, wait_until: Wait, depth: int
) -> None:
    body = b'{"user_id": "u", "event_type": "x", "payload": {"n": %s1%s}}'
    body %= b"[" * depth, b"]" * depth
    assert relay.post("/api/ingestion/track/", data=body).status_code == 202
    wait_until(sandbox.events)
    assert sandbox.events()[0]["event"]["payload"] == json.loads(body)["payload"]


@pytest.mark.parametrize("path", ["/api/ingestion/track/", BATCH])
def test_a_large_body_is_read_on_another_thread_so_that_others_are_served_meanwhile(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    readers = []

    def read(body: bytes) -> Any:
        readers.append(threading.current_thread().name)
        return read_document(body)

    monkeypatch.setattr("segops_durable.relay.app.read_document", read)
    for size in (10, 100_000):
        sent = event(1, text="x" * size)
        assert relay.post(path, {"events": [sent], **sent}).status_code == 202
    assert readers[0] != readers[1]


def test_only_what_does_not_say_when_it_occurred_is_corrected_with_the_clock(
    relay: RunningRelay, sandbox: Sandbox
) -> None:
    sandbox.stop()
    relay.track(event(1), event(2, occurred_at="2026-01-31T12:00:00Z"))
    with closing(sqlite3.connect(relay.queue_path)) as connection:
        rows = connection.execute("SELECT uptime IS NULL FROM queue_outbox ORDER BY _id")
        assert rows.fetchall() == [(0,), (1,)]


def test_a_batch_of_more_than_500_events_is_refused(relay: RunningRelay) -> None:
    assert relay.track(*map(event, range(501))).status_code == 400
    assert relay.track(*map(event, range(500))).json() == {"queued": 500, "skipped": 0}


def test_a_body_that_is_too_large_is_refused_packed_or_not_and_a_packed_one_is_unpacked(
    make_relay: Callable[..., RunningRelay], sandbox: Sandbox, wait_until: Wait
) -> None:
    relay = make_relay("--max-body-bytes", "4000")
    large = json.dumps({"events": [event(1, text="x" * 5000)]}).encode()
    assert relay.post(BATCH, data=large).status_code == 413
    assert relay.post(BATCH, data=iter([large[:1000], large[1000:]])).status_code == 413
    packed = {"Content-Encoding": "gzip"}
    assert relay.post(BATCH, data=gzip.compress(large), headers=packed).status_code == 413
    assert relay.post(BATCH, data=b"\x1f\x8b nonsense", headers=packed).status_code == 400
    small = gzip.compress(json.dumps({"events": [event(2)]}).encode())
    assert relay.post(BATCH, data=small[:-9], headers=packed).status_code == 400
    assert relay.post(BATCH, data=small, headers={"Content-Encoding": "br"}).status_code == 415
    assert relay.post(BATCH, data=small, headers=packed).status_code == 202
    wait_until(sandbox.events)
    assert numbers(sandbox) == [2]


def test_a_full_queue_is_told_and_never_answered_early(
    make_relay: Callable[..., RunningRelay], sandbox: Sandbox, wait_until: Wait
) -> None:
    sandbox.stop()
    relay = make_relay(options={"max_queue_events": 3})
    assert relay.track(*map(event, range(3))).status_code == 202
    full = relay.track(event(3))
    assert (full.status_code, full.headers["Retry-After"]) == (503, "30")
    assert full.json() == {"detail": "The queue is full."}
    assert relay.waiting() == 3
    sandbox.start()
    wait_until(lambda: len(sandbox.events()) == 3)
    wait_until(lambda: relay.track(event(4)).status_code == 202)


def test_many_at_once_are_all_stored_and_share_commits(
    relay: RunningRelay, sandbox: Sandbox
) -> None:
    sandbox.stop()
    gate = threading.Barrier(16)

    def post(first: int) -> int:
        gate.wait(60)
        return relay.track(event(first), event(first + 1)).status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(post, range(0, 32, 2))) == {202}
    assert relay.waiting() == 32


def test_another_path_or_method_is_answered_in_segops_own_form(relay: RunningRelay) -> None:
    missing = relay.post("/api/ingestion/track", event(1))  # no redirect: it would post no more
    assert (missing.status_code, missing.json()) == (404, {"detail": "Not Found"})
    assert relay.post("/api/schemas/validate/", {}).status_code == 404
    assert relay.get(BATCH).status_code == 405
