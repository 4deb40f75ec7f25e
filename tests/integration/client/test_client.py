from __future__ import annotations

import logging
import signal
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

import segops_durable
from segops_durable import (
    ClosedError,
    ConfigurationError,
    Context,
    Event,
    InvalidEventError,
    PendingEventsError,
    SegOpsClient,
    State,
)
from support.events import leave, numbers, track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsError
    from segops_durable.sandbox import Sandbox


def batches(sandbox: Sandbox) -> list[int]:
    return [request["queued"] for request in sandbox.requests()]


def test_events_arrive_once_in_order_in_batches_of_twenty(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client()
    client.track_many({"user_id": "u", "event_type": "e", "payload": {"n": n}} for n in range(45))
    result = client.flush(timeout=60)
    assert (result.pending, result.dead, result.blocked, result.ok) == (0, 0, False, True)
    assert numbers(sandbox) == list(range(45))
    assert batches(sandbox) == [20, 20, 5]


def test_twenty_events_wake_the_flusher_and_fewer_wait(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    client = make_client()
    track(client, 1)
    assert client.flush(timeout=60).ok
    wait_until(
        lambda: client._delivery.current.flusher.requests.is_answered(1)
    )  # the round has ended, too
    track(client, 19)
    assert not sandbox.wait_for_request(0.2)
    track(client, 6, first=19)
    wait_until(lambda: len(numbers(sandbox)) == 21)
    assert client.flush(timeout=60).ok
    assert batches(sandbox) == [1, 20, 5]


def test_the_interval_sends_what_does_not_fill_a_batch(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    client = make_client(flush_interval=0.05)
    client.flush(timeout=60)
    track(client, 1)
    wait_until(lambda: numbers(sandbox) == [0])


def test_without_batching_every_call_is_sent_and_none_waits_for_the_network(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    client = make_client(batch=False)
    client.flush(timeout=60)
    sandbox.faults(delay=0.2)
    track(client, 1)
    assert sandbox.requests() == []
    wait_until(lambda: numbers(sandbox) == [0])


def test_identify_is_a_context_identified_event(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client()
    client.identify(Context("u-1", {"plan": "pro"}))
    client.flush(timeout=60)
    event = sandbox.events()[0]["event"]
    assert (event["event_type"], event["payload"]) == ("context_identified", {"plan": "pro"})


def test_a_bad_event_is_refused_and_nothing_else_is_lost(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client()
    track(client, 1)
    with pytest.raises(InvalidEventError, match=r"payload\.a"):
        client.track(user_id="u", event_type="e", payload={"a": float("nan")})
    with pytest.raises(InvalidEventError):
        client.track_many([Event("u", "e"), Event("", "e")])
    assert client.stats().pending == 1
    assert client.flush(timeout=60).ok
    assert numbers(sandbox) == [0]


def test_chunks_before_a_bad_event_stay_and_its_own_is_not_stored(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.faults(status=503)
    client = make_client(max_retries=0)
    good = [Event("u", "e") for _ in range(700)]
    with pytest.raises(InvalidEventError):
        client.track_many([*good, Event("u", "")])
    assert client.stats().pending == 500
    assert client.track_many(good) == 700
    assert client.stats().pending == 1200


def test_a_flush_that_fails_says_what_waits_and_does_not_raise(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.faults(status=503)
    told: list[SegOpsError] = []
    client = make_client(max_retries=1, on_error=told.append)
    track(client, 3)
    result = client.flush(timeout=30)
    assert (result.sent, result.pending, result.ok, result.blocked) == (0, 3, False, False)
    with pytest.raises(PendingEventsError, match="3 events"):
        result.raise_for_pending()
    assert isinstance(told[0], segops_durable.UnreachableError)
    assert (told[0].status, told[0].attempts, told[0].batch_size) == (503, 2, 3)
    stats = client.stats()
    assert (stats.state, stats.last_error) == (State.BACKING_OFF, told[-1])
    sandbox.faults()
    assert client.flush(timeout=30).sent == 3  # a flush does not wait for the pause
    assert numbers(sandbox) == [0, 1, 2]


@pytest.mark.parametrize("reset", ["before", "after"])
def test_a_broken_connection_is_retried_with_the_same_bytes_and_key(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, reset: str
) -> None:
    sandbox.faults(reset=reset, times=1)
    client = make_client()
    track(client, 2)
    assert client.flush(timeout=30).ok
    requests = sandbox.requests()
    assert len(requests) == 2
    assert len({(r["idempotency_key"], r["body_sha256"]) for r in requests}) == 1
    assert sandbox.summary()["distinct_events"] == 2


def test_stats_say_how_it_stands(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    client = make_client()
    assert client.flush(timeout=60).ok
    empty = client.stats()
    assert (empty.pending, empty.oldest_age, empty.last_accepted_at) == (0, None, None)
    sandbox.faults(status=503)
    track(client, 2)
    waiting = client.stats()
    assert waiting.pending == 2
    assert waiting.oldest_age is not None
    assert waiting.queue_bytes > 0
    sandbox.faults()
    before = datetime.now(timezone.utc)
    assert client.flush(timeout=30).ok
    done = client.stats()
    assert (done.accepted_total, done.pending) == (2, 0)
    wait_until(lambda: client.stats().state is State.IDLE)  # once that round is over as well
    assert done.last_accepted_at is not None
    assert before <= done.last_accepted_at


def test_shutdown_sends_what_waits_and_is_safe_twice(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    with make_client() as client:
        track(client, 3)
    result = client.shutdown()
    assert result.ok
    assert client.shutdown() is result
    client.close()
    assert numbers(sandbox) == [0, 1, 2]
    for use in (lambda: track(client, 1), client.flush, client.stats):
        with pytest.raises(ClosedError):
            use()


def test_shutdown_with_the_server_down_is_bounded_and_the_next_client_delivers(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    sandbox.stop()
    client = make_client(max_retries=1000)
    track(client, 3)
    assert client.shutdown(timeout=0.1).pending == 3
    wait_until(lambda: not client._delivery.current.flusher._worker.is_running)
    sandbox.start()
    assert make_client().flush(timeout=60).ok
    assert numbers(sandbox) == [0, 1, 2]


def test_nothing_unexpected_ends_the_flusher_silently(
    make_client: Callable[..., SegOpsClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[SegOpsError] = []
    client = make_client(on_error=told.append)
    track(client, 1)
    assert client.flush(timeout=60).ok  # so its first round is over
    with monkeypatch.context() as broken:
        broken.setattr(client._delivery.current.sender, "run_round", lambda *_, **__: 1 // 0)
        track(client, 1)
        assert client.flush(timeout=60).pending == 1
    assert "ZeroDivisionError" in str(told[-1])
    assert client.flush(timeout=60).ok


def test_the_key_is_in_no_log_error_repr_or_file(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    queue_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    key = "sk_live_verysecret"
    sandbox.configure(revoked_keys=[key])
    told: list[SegOpsError] = []
    client = make_client(key, on_error=told.append, max_retries=0)
    track(client, 1)
    assert client.flush(timeout=60).blocked
    assert isinstance(told[-1], segops_durable.CredentialsError)
    client.shutdown(0)
    make_client("sk_live_rotated").flush(timeout=60)
    texts = [caplog.text, repr(client), repr(client._options), *map(str, told), *map(repr, told)]
    assert not any("verysecret" in text for text in texts)
    for file in queue_path.parent.iterdir():
        assert b"verysecret" not in file.read_bytes()
    assert numbers(sandbox) == [0]


def test_the_default_queue_is_in_the_state_directory_and_leftovers_are_named(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    default_directory: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sandbox.faults(status=503)
    first = make_client("sk_old", queue_path=None, max_retries=0)
    track(first, 2)
    leave(first)
    assert list(default_directory.glob("outbox-*.db"))
    make_client("sk_new", queue_path=None)
    assert "2 events wait in" in caplog.text
    assert "segops-durable adopt" in caplog.text


def test_a_client_is_made_of_the_environment(
    sandbox: Sandbox, queue_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGOPS_API_URL", sandbox.url)
    monkeypatch.setenv("SEGOPS_API_KEY", "sk_env")
    monkeypatch.setenv("SEGOPS_QUEUE_PATH", str(queue_path))
    with SegOpsClient.from_env() as client:
        track(client, 1)
    assert client.shutdown().ok
    with SegOpsClient.from_env(queue_path=str(queue_path), batch_size=1) as client:
        track(client, 1, first=1)
    assert numbers(sandbox) == [0, 1]


def test_a_wrong_option_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        SegOpsClient("https://api.segops.ai", "mk_live_0", queue_path=tmp_path / "queue.db")
    assert list(tmp_path.iterdir()) == []


def test_another_client_of_the_same_queue_stands_by_and_its_flush_is_true(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sender = make_client(flush_interval=0.05)
    track(sender, 1)
    assert sender.flush(timeout=60).ok  # so it is the sender
    other = make_client()
    track(other, 2, first=1)
    assert other.flush(timeout=20).ok
    assert other.stats().state is State.STANDBY
    assert numbers(sandbox) == [0, 1, 2]
    sandbox.faults(status=503)
    track(other, 1, first=3)
    assert other.flush(timeout=0.2).pending == 1
    sandbox.faults()
    sender.shutdown(0)
    assert other.flush(timeout=30).ok  # the place was free


def test_threads_that_track_and_flush_lose_and_double_nothing(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client()

    def work(thread: int) -> None:
        for number in range(thread * 50, thread * 50 + 50):
            client.track(user_id="u-1", event_type="page_viewed", payload={"n": number})
        client.flush(timeout=30)

    threads = [threading.Thread(target=work, args=(each,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(timeout=30).ok
    assert sorted(numbers(sandbox)) == list(range(400))


def test_a_handler_that_shuts_down_in_the_middle_of_tracking_loses_nothing(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client(shutdown_timeout=1.0)
    acknowledged = []
    previous = signal.signal(signal.SIGALRM, lambda *_: client.shutdown())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises((ClosedError, segops_durable.StorageError)):  # noqa: PT012 - a loop
            for number in range(1_000_000):
                client.track(user_id="u-1", event_type="page_viewed", payload={"n": number})
                acknowledged.append(number)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    client.shutdown(0)
    assert make_client().flush(timeout=30).ok
    assert set(acknowledged) <= set(numbers(sandbox))
