"""Nobody is asked before the time that SegOps has named, and a minute has its requests."""

from __future__ import annotations

import threading
from collections import Counter
from email.utils import formatdate
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

import segops_durable
from segops_durable import State
from segops_durable.delivery.backoff import LONGEST_LATER
from support.clock import MovableClock
from support.events import numbers, track
from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox
    from support.rig import Rig

pytestmark = pytest.mark.one_python


A_YEAR = 365 * 86_400.0


# Busy


@pytest.mark.parametrize("status", [408, 425, 429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_no_request_is_made_before_a_retry_after_is_over_also_after_a_restart(
    make_rig: Callable[..., Rig], status: int, form: str
) -> None:
    with Peer(lambda _request: b"") as segops:
        rig = make_rig(segops.url)
        header = "600"
        if form == "date":  # by the server's clock, which is an hour ahead
            header = formatdate(rig.clock.time() + 3600 + 600, usegmt=True)
        date = formatdate(rig.clock.time() + 3600, usegmt=True)
        fields = {"Retry-After": header, "Date": date}
        segops.react = lambda _request: answer(status, {"detail": "Later."}, fields)
        rig.append(3)
        rig.round()
        assert len(segops.requests) == 1
        (error,) = rig.told
        assert isinstance(error, segops_durable.DeliveryError)
        assert error.retry_at is not None
        assert 600 <= error.retry_at.timestamp() - rig.clock.time() <= 630
        segops.react = segops.accept
        rig.clock.move(590)
        rig.round(is_asked_for=True)
        assert rig.delivery.sender.is_blocked
        rig.close()
        again = make_rig(segops.url, clock=rig.clock)
        again.round(is_asked_for=True)
        assert again.delivery.sender.state is State.RATE_LIMITED
        assert again.delivery.sender.is_blocked
        assert len(segops.requests) == 1
        rig.clock.move(10 + LONGEST_LATER)
        again.round()
        assert len(segops.requests) == 2
    assert segops.accepted == Counter(range(3))


def test_a_retry_after_is_clamped_also_by_the_next_process(make_rig: Callable[..., Rig]) -> None:
    patience = {"Retry-After": "999999"}
    with Peer(lambda _request: answer(429, {"detail": "Later."}, patience)) as segops:
        rig = make_rig(segops.url, max_retry_after=100.0)
        rig.append(1)
        rig.round()
        assert 100 <= rig.delivery.sender.pause_seconds <= 120
        rig.close()
        again = make_rig(segops.url, clock=rig.clock, max_retry_after=50.0)
        again.round()
        assert 50 <= again.delivery.sender.pause_seconds <= 70  # what was drawn stays
        segops.react = segops.accept
        again.next_round()
    assert segops.accepted == Counter(range(1))


@pytest.mark.parametrize(
    ("boot", "off", "longest"),
    [
        (1, 50.0, 3600.0),
        (2, 600.0, 3600.0),  # a power cut; what was asked for is over, what was drawn is not
        (2, 50.0, 10.0),  # the next process is told that nobody may ask for more
    ],
)
def test_devices_that_were_told_the_same_are_apart_also_when_all_are_restarted_together(
    make_rig: Callable[..., Rig], tmp_path: Path, boot: int, off: float, longest: float
) -> None:
    patience = {"Retry-After": "600"}
    clock = MovableClock(A_YEAR)
    with Peer(lambda _request: answer(429, {"detail": "Later."}, patience)) as segops:
        fleet = [{"queue_path": tmp_path / f"{each}.db", "clock": clock} for each in range(6)]
        drawn = []
        for each in fleet:
            rig = make_rig(segops.url, **each)
            rig.append(1)
            rig.round()
            drawn.append(rig.delivery.sender.pause_seconds)
            rig.close()
        clock.move(off)
        clock.boot = boot
        again = [make_rig(segops.url, **each, max_retry_after=longest) for each in fleet]
        for rig in again:
            rig.round(is_asked_for=True)
        assert len(segops.requests) == len(fleet)
    left = [rig.delivery.sender.pause_seconds for rig in again]
    assert left == pytest.approx([each - off - max(0.0, 600 - off - longest) for each in drawn])
    assert len({round(each, 3) for each in left}) == len(fleet)


@pytest.mark.parametrize(
    ("boot", "ahead", "left"),
    [
        (1, A_YEAR, 10),
        (1, -A_YEAR, 10),
        (2, 0, 10),
        (2, -A_YEAR, 600),  # nobody knows: all that was asked for, and no more
    ],
)
def test_what_is_left_of_a_retry_after_is_kept_to_whatever_the_clock_is_set_to(
    make_rig: Callable[..., Rig], boot: int, ahead: float, left: float
) -> None:
    patience = {"Retry-After": "600"}
    with Peer(lambda _request: answer(429, {"detail": "Later."}, patience)) as segops:
        rig = make_rig(segops.url)
        rig.append(1)
        rig.round()
        rig.close()
        rig.clock.move(590)
        rig.clock.set(ahead)
        rig.clock.boot = boot
        again = make_rig(segops.url, clock=rig.clock)
        segops.react = segops.accept
        again.round(is_asked_for=True)
        assert len(segops.requests) == 1
        assert left <= again.delivery.sender.pause_seconds <= left + LONGEST_LATER
        again.next_round()
    assert segops.accepted == Counter(range(1))


def test_a_flush_says_blocked_and_a_shutdown_does_not_wait(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.faults(status=429, retry_after=600)
    client = make_client()
    track(client, 1)
    result = client.flush(timeout=30)
    assert (result.blocked, result.pending) == (True, 1)
    stats = client.stats()
    assert stats.state is State.RATE_LIMITED
    assert stats.retry_at is not None
    assert client.shutdown(timeout=60).blocked
    assert len(sandbox.requests()) == 1


def test_requests_are_paced_so_that_no_minute_has_more_than_allowed(
    make_rig: Callable[..., Rig],
) -> None:
    times: list[float] = []

    def react(request: Request) -> bytes:
        times.append(rig.clock.monotonic())
        return segops.accept(request)

    with Peer(react) as segops:
        rig = make_rig(segops.url, max_requests_per_minute=30, batch_size=1)
        rig.append(100)
        rig.round()
    assert segops.accepted == Counter(range(100))
    assert all(later - earlier >= 2 - 1e-6 for earlier, later in pairwise(times))


def test_a_stop_ends_the_wait_for_a_turn(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    client = make_client(max_requests_per_minute=1)
    track(client, 1)
    wait_until(lambda: client.flush(timeout=1).ok)
    track(client, 1, first=1)
    assert client.shutdown(timeout=0.1).pending == 1
    wait_until(lambda: all(each.name != "segops-flusher" for each in threading.enumerate()))
    assert numbers(sandbox) == [0]
