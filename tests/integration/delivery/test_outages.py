"""Hours without SegOps, by a clock that moves when somebody waits on it."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from segops_durable import SegOpsError, UnreachableError
from segops_durable.delivery import Reporter
from segops_durable.system.clock import Clock
from support.clock import MovableClock
from support.events import numbers, track
from support.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox
    from segops_durable.system.bell import Bell
    from support.rig import Rig

HOUR = 3600.0


class Limited(MovableClock):
    """A clock that stands still at its end, and says so."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._end = self.time() + seconds
        self.is_over = threading.Event()

    def move(self, seconds: float) -> None:
        left = max(0.0, self._end - self.time())
        super().move(min(seconds, left))
        if seconds >= left:
            self.is_over.set()

    def wait_for(self, bell: Bell, is_met: Callable[[], bool], seconds: float) -> bool:
        if self.is_over.is_set():
            return Clock().wait_for(bell, is_met, 60)
        return super().wait_for(bell, is_met, seconds)

    def extend(self, seconds: float) -> None:
        self._end = self.time() + seconds
        self.is_over.clear()


@pytest.mark.one_python
@pytest.mark.parametrize("flush_interval", [5.0, pytest.param(0.05, marks=pytest.mark.long), 600.0])
def test_an_hour_offline_takes_fewer_than_100_connections_and_the_end_of_it_is_noticed(
    make_rig: Callable[..., Rig], flush_interval: float
) -> None:
    clock = Limited(HOUR)
    with Peer(lambda _request: None) as segops:
        rig = make_rig(segops.url, clock=clock, flush_interval=flush_interval)
        rig.append(45)
        rig.delivery.flusher.start()
        assert clock.is_over.wait(60)
        attempts = segops.connections
        assert 50 < attempts < 100
        assert len(rig.told) < 100
        assert {type(error) for error in rig.told} == {UnreachableError}
        segops.react = segops.accept
        clock.extend(120.0)
        rig.delivery.flusher.request_round()  # wakes the thread from its real sleep
        assert clock.is_over.wait(60)
        assert rig.delivery.flushing.flush(30).ok
    assert segops.accepted == Counter(range(45))


def test_an_outage_with_few_events_does_not_cut_them_into_many_batches(
    make_rig: Callable[..., Rig],
) -> None:
    with Peer(lambda _request: None) as segops:
        rig = make_rig(segops.url)
        for number in range(40):
            rig.append(1, first=number)
            rig.next_round()
        segops.react = segops.accept
        made = len(segops.requests)
        rig.round(is_asked_for=True)
        assert len(segops.requests) - made <= 4
    assert segops.accepted == Counter(range(40))


def test_a_success_and_a_flush_reset_the_pause(make_rig: Callable[..., Rig]) -> None:
    with Peer(lambda _request: None) as segops:
        rig = make_rig(segops.url)
        rig.append(1)
        for _ in range(8):
            rig.next_round()
        assert rig.delivery.sender.pause_seconds >= 30
        assert rig.state == "backing_off"
        made = len(segops.requests)
        rig.round(is_asked_for=True)
        assert len(segops.requests) == made + 4  # with retries, as somebody waits for it
        assert rig.delivery.sender.pause_seconds <= 5
        for _ in range(8):
            rig.next_round()
        segops.react = segops.accept
        rig.next_round()
        assert (rig.state, rig.delivery.sender.retry_at) == ("idle", None)
        segops.react = lambda _request: None
        rig.append(1, first=1)
        rig.next_round()
        assert rig.delivery.sender.pause_seconds <= 5


def test_what_an_earlier_life_left_is_sent_after_a_part_of_the_interval(
    make_rig: Callable[..., Rig],
) -> None:
    with Peer(lambda _request: None) as segops:
        rig = make_rig(segops.url)
        rig.append(3)
        rig.close()
        segops.react = segops.accept
        waits = []
        for _ in range(5):  # one device after the other of a fleet that got its power back
            clock = Limited(0)
            clock.is_over.set()  # it stands still from the start: the thread waits in earnest
            device = make_rig(segops.url, clock=clock, flush_interval=60.0)
            device.delivery.flusher.start()
            waits.append(device.delivery.sender.pause_seconds)
            device.close()
        assert len(set(waits)) == 5
        assert all(0 < wait <= 60 for wait in waits)
        assert segops.requests == []
        device = make_rig(segops.url, flush_interval=60.0)
        device.delivery.flusher.start()
        assert device.delivery.flushing.flush(30).ok  # a flush does not wait for it


def test_a_week_offline_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    clock = MovableClock()
    report = Reporter(None, clock)
    with caplog.at_level(logging.WARNING, "segops_durable"):
        for _ in range(7 * 24 * 60):
            report(UnreachableError("SegOps cannot be reached"))
            clock.move(60)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 7 * 24
    assert lines[0] == "SegOps cannot be reached"
    assert lines[1].endswith("(59 more like it since the last line)")
    report(SegOpsError("something else"))
    assert "something else" in caplog.text


def test_a_callback_that_raises_anything_at_all_does_not_end_the_thread_or_fill_the_log(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def give_up(_error: SegOpsError) -> None:
        raise SystemExit("the application gives up")

    sandbox.faults(status=503)
    client = make_client(max_retries=0, on_error=give_up)
    track(client, 1)
    for _ in range(5):
        assert client.flush(timeout=30).pending == 1
    assert caplog.text.count("SystemExit('the application gives up') while it was told") == 1
    sandbox.faults()
    assert client.flush(timeout=30).ok
    assert numbers(sandbox) == [0]
