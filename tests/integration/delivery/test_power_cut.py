"""A fleet that gets its power back together, and one device that was started anew by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segops_durable import Event
from segops_durable.delivery.backoff import LONGEST_PAUSE
from support.events import numbered
from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clock import MovableClock
    from support.rig import Rig

INTERVAL = 5.0
DEVICES = 30


@pytest.fixture
def start(make_rig: Callable[..., Rig]) -> Callable[..., list[float]]:
    """Leaves events in an outbox, and starts its client again and again; gives the waits."""

    def start_all(before: Callable[[MovableClock], None], *events: Event) -> list[float]:
        with Peer(lambda _request: answer(503, {"detail": "Oh."})) as segops:
            rig = make_rig(segops.url, flush_interval=INTERVAL)
            rig.track(*(events or numbered(3)))
            rig.close()
            before(rig.clock)
            waits = []
            for _ in range(DEVICES):
                rig = make_rig(segops.url, rig.clock, flush_interval=INTERVAL)
                rig.delivery.flusher.begin()
                waits.append(rig.delivery.sender.pause_seconds)
                rig.close()
            return waits

    return start_all


def test_what_a_power_cut_has_left_is_sent_at_any_time_of_a_minute(
    start: Callable[..., list[float]],
) -> None:
    waits = start(lambda clock: clock.reboot(20.0))
    assert INTERVAL < max(waits) <= LONGEST_PAUSE
    assert len(set(waits)) == DEVICES


def test_so_is_what_says_its_own_time(start: Callable[..., list[float]]) -> None:
    event = Event("user-1", "page_viewed", occurred_at="2026-11-25T12:00:00Z")

    def wait_and_reboot(clock: MovableClock) -> None:
        clock.move(3600.0)
        clock.reboot(20.0)

    assert max(start(wait_and_reboot, event)) > INTERVAL


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(lambda _clock: None, id="the process alone"),
        pytest.param(lambda clock: clock.reboot(3600.0), id="the machine, an hour ago"),
    ],
)
def test_what_anything_else_has_left_is_sent_within_an_interval(
    start: Callable[..., list[float]], before: Callable[[MovableClock], None]
) -> None:
    assert max(start(before)) <= INTERVAL


def test_whoever_asks_for_what_a_power_cut_has_left_does_not_wait(
    make_rig: Callable[..., Rig],
) -> None:
    times: list[float] = []

    def react(request: Request) -> bytes:
        times.append(rig.clock.monotonic())
        return segops.accept(request)

    with Peer(react) as segops:
        rig = make_rig(segops.url)
        rig.append(3)
        rig.close()
        rig.clock.reboot()
        rig = make_rig(segops.url, rig.clock)
        began = rig.clock.monotonic()
        rig.delivery.flusher.request_round()
        rig.delivery.flusher.start()
        assert rig.delivery.flushing.flush(60.0).ok
        assert times == [began]


def test_a_turn_in_a_share_is_drawn_anew_after_a_power_cut(make_rig: Callable[..., Rig]) -> None:
    times: list[float] = []
    clock: MovableClock | None = None

    def react(request: Request) -> bytes:
        times.append(rig.clock.monotonic())
        return segops.accept(request)

    with Peer(react) as segops:
        waits = []
        for number in range(10):
            rig = make_rig(segops.url, clock, max_requests_per_minute=60, fleet_size=40)
            clock = rig.clock
            clock.move(3600.0)
            clock.reboot()
            rig.append(1, first=number)
            began = clock.monotonic()
            rig.round(is_asked_for=True)
            waits.append(times[-1] - began)
            rig.close()
    assert max(waits[1:]) > INTERVAL
    assert max(waits) <= 40.0
