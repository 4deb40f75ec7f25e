"""A board that boots in 1970, and other clocks that are set while events wait."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from segops_durable import Event, SegOpsClient
from segops_durable.system.clock import Clock
from support.clock import MovableClock
from support.kiosk import Kiosk, event
from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox
    from support.rig import Rig

IN_1970 = -1_799_999_000.0
WHEN = "1999-12-31T23:59:59+00:00"


def moments(sandbox: Sandbox) -> list[float]:
    """When the accepted events occurred, in the order they came."""
    texts = [row["event"]["occurred_at"] for row in sandbox.events()]
    return [datetime.fromisoformat(text).timestamp() for text in texts]


def plain(number: int, occurred_at: str | None = None) -> Event:
    return Event("u", "page_viewed", occurred_at, {"n": number, "text": '"occurred_at":"x"'})


@pytest.mark.parametrize("ahead", [IN_1970, -3600.0, 3600.0, 0.5, -0.5])
def test_events_tracked_before_the_clock_was_set_arrive_with_their_right_times(
    make_rig: Callable[..., Rig], sandbox: Sandbox, ahead: float
) -> None:
    rig = make_rig(sandbox.url)
    truth = []
    rig.clock.set(ahead)
    for number in range(5):
        truth.append(rig.clock.uptime())
        rig.track(plain(number))
        rig.clock.move(10)
    rig.clock.set(0)
    for number in range(5, 10):
        truth.append(rig.clock.uptime())
        rig.track(plain(number))
        rig.clock.move(10)
    rig.round()
    assert moments(sandbox) == pytest.approx(truth, abs=1e-5)
    payloads = [row["event"]["payload"] for row in sandbox.events()]
    assert payloads == [plain(number).payload for number in range(10)]


def test_an_explicit_time_is_never_touched(make_rig: Callable[..., Rig], sandbox: Sandbox) -> None:
    rig = make_rig(sandbox.url)
    rig.clock.set(IN_1970)
    rig.track(plain(0, WHEN))
    rig.clock.set(0)
    rig.round()
    assert [row["event"]["occurred_at"] for row in sandbox.events()] == [WHEN]


def test_a_step_back_does_not_reorder(make_rig: Callable[..., Rig], sandbox: Sandbox) -> None:
    rig = make_rig(sandbox.url)
    for number in range(20):
        rig.clock.set(-number / 2)  # half a second back between any two
        rig.track(plain(number))
        rig.clock.move(0.1)
    rig.round()
    found = moments(sandbox)
    assert found == sorted(found)
    assert len(set(found)) == 20


def test_times_of_another_boot_and_under_a_clock_that_is_not_set_stay_as_they_are(
    make_rig: Callable[..., Rig], sandbox: Sandbox
) -> None:
    rig = make_rig(sandbox.url)
    rig.clock.set(-3600)
    rig.track(plain(0))
    first = rig.clock.time()
    rig.clock.boot += 1
    rig.clock.set(0)
    rig.track(plain(1))
    second = rig.clock.time()
    rig.clock.set(IN_1970)  # a battery fails: what was right is not made wrong
    rig.round()
    assert moments(sandbox) == pytest.approx([first, second], abs=1e-5)


def test_a_batch_that_could_not_leave_is_corrected_when_the_clock_is_set(
    make_rig: Callable[..., Rig], sandbox: Sandbox
) -> None:
    """It was made, and tried, while the network was as far away as the time."""
    sandbox.stop()
    rig = make_rig(sandbox.url, batch_size=4, max_retries=1)
    rig.clock.set(IN_1970)
    truth = []
    for number in range(10):
        truth.append(rig.clock.uptime())
        rig.track(plain(number))
        rig.next_round()
    rig.clock.set(0)
    sandbox.start()
    rig.next_round()
    assert moments(sandbox) == pytest.approx(truth, abs=1e-5)


def test_a_batch_without_a_session_is_corrected_when_the_clock_is_set(
    make_rig: Callable[..., Rig], sandbox: Sandbox
) -> None:
    sandbox.faults(status=503)
    kiosk = Kiosk()
    rig = make_rig(sandbox.url, api_key="pk_test", get_user=kiosk.get_user, max_retries=0)
    rig.clock.set(IN_1970)
    truth = rig.clock.uptime()
    rig.track(event(None))
    rig.next_round()
    rig.clock.set(0)
    sandbox.faults()
    rig.next_round()
    assert moments(sandbox) == pytest.approx([truth], abs=1e-5)


def test_a_batch_that_may_have_arrived_is_sent_again_as_it_was(
    make_rig: Callable[..., Rig],
) -> None:
    """Its time may be wrong, but to send other bytes could double the event."""
    replies: list[bytes | None] = [None]

    def react(request: Request) -> bytes | None:
        return replies.pop() if replies else peer.accept(request)

    with Peer(react) as peer:
        rig = make_rig(peer.url, max_retries=0)
        rig.clock.set(IN_1970)
        rig.track(plain(0))
        rig.round()
        rig.clock.set(0)
        rig.clock.move(60)
        rig.round(is_asked_for=True)
        lost, again = peer.requests
        assert (lost.key, lost.body) == (again.key, again.body)
        assert peer.accepted == {0: 1}


def test_a_batch_that_may_have_arrived_stays_as_it_was_though_later_attempts_cannot_leave(
    make_rig: Callable[..., Rig], sandbox: Sandbox
) -> None:
    class Clock(MovableClock):
        def sleep(self, stop: threading.Event, seconds: float) -> bool:
            sandbox.stop()  # between the first attempt, whose answer is lost, and the second
            return super().sleep(stop, seconds)

    sandbox.faults(reset="after", times=1)
    rig = make_rig(sandbox.url, Clock(), max_retries=1)
    rig.clock.set(IN_1970)
    rig.track(plain(0))
    rig.round()
    rig.clock.set(0)
    rig.next_round()
    sandbox.start()
    rig.clock.move(600)
    rig.round(is_asked_for=True)
    first, again = sandbox.events()
    assert first["event"] == again["event"]
    summary = sandbox.summary()
    assert (summary["repeated_keys"], summary["conflicting_keys"]) == (1, 0)


def test_a_dead_letter_has_the_bytes_that_were_sent(make_rig: Callable[..., Rig]) -> None:
    with Peer(lambda _request: answer(400, {"detail": "No."})) as peer:
        rig = make_rig(peer.url)
        rig.clock.set(IN_1970)
        rig.track(plain(0))
        rig.clock.set(0)
        rig.round()
        (letter,) = rig.outbox.dead_letters
        assert peer.requests[0].body == b'{"events":[' + letter.data + b"]}"
        assert b"1970" not in letter.data
        assert letter.tracked_at.timestamp() == rig.clock.time()


def test_the_age_of_the_oldest_event_does_not_jump_with_the_clock(
    make_rig: Callable[..., Rig], sandbox: Sandbox
) -> None:
    rig = make_rig(sandbox.url)
    rig.clock.set(IN_1970)
    rig.track(plain(0))
    rig.clock.move(100)
    rig.clock.set(0)
    oldest_at = rig.outbox.waiting.counts().oldest_at
    assert oldest_at is not None
    assert rig.clock.time() - oldest_at == pytest.approx(100)


def test_a_clock_that_is_set_in_mid_drain_changes_no_bytes_under_a_key(
    make_rig: Callable[..., Rig],
) -> None:
    clock = MovableClock()

    def react(request: Request) -> bytes | None:
        clock.set(-float(len(peer.requests)))
        return None if len(peer.requests) % 2 else peer.accept(request)

    with Peer(react) as peer:
        rig = make_rig(peer.url, clock, batch_size=3, max_retries=0)
        for number in range(30):
            rig.track(plain(number))
        for _ in range(40):  # each round takes anew, from the disk, what was in flight
            clock.move(600)
            rig.round(is_asked_for=True)
        assert set(peer.accepted) == set(range(30))
        bodies: dict[str, bytes] = {}
        for request in peer.requests:
            assert bodies.setdefault(request.key, request.body) == request.body


CHILD = """
import sys, time
from segops_durable import SegOpsClient
from segops_durable.system.clock import Clock
Clock.time = lambda self: time.time() - 1_700_000_000  # the board has booted, in the 1970s
client = SegOpsClient(sys.argv[1], "sk_test", queue_path=sys.argv[2], on_error=lambda error: None)
print(time.time(), flush=True)
client.track(user_id="u", event_type="page_viewed")
print(time.time(), flush=True)
client.shutdown(0)
"""


def test_a_process_that_starts_after_the_clock_was_set_corrects_what_another_left(
    queue_path: Path, sandbox: Sandbox
) -> None:
    sandbox.stop()
    command = [sys.executable, "-c", CHILD, sandbox.url, str(queue_path)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    before, after = map(float, found.stdout.split())
    sandbox.start()
    with SegOpsClient(sandbox.url, "sk_test", queue_path=queue_path) as client:
        assert 0 <= (client.stats().oldest_age or -1) < 60
        assert client.flush(timeout=60).ok
    (moment,) = moments(sandbox)
    assert before - 0.1 <= moment <= after + 0.1


def test_an_event_gets_the_time_of_the_call(make_rig: Callable[..., Rig], sandbox: Sandbox) -> None:
    rig = make_rig(sandbox.url, clock=Clock())
    before = time.time()
    rig.track(plain(0))
    after = time.time()
    rig.round()
    (moment,) = moments(sandbox)
    assert before <= moment + 1e-5
    assert moment <= after + 1e-5
