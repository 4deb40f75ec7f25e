"""At any rate events go out in full batches, and with one small one an interval."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from segops_durable.delivery import Housekeeping
from segops_durable.system.clock import Clock
from support.clock import MovableClock
from support.events import numbered, track
from support.kiosk import Kiosk, events
from support.peer import Peer, Request
from support.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient
    from support.rig import Rig

pytestmark = pytest.mark.one_python

NEVER = 3600.0


class Held(Peer):
    """Accepts everything, the first request once it is let go."""

    def __init__(self) -> None:
        super().__init__(self._accept)
        self.arrived, self.go_on = threading.Event(), threading.Event()

    def _accept(self, request: Request) -> bytes:
        self.arrived.set()
        self.go_on.wait(60)
        return self.accept(request)

    @property
    def batches(self) -> list[list[int]]:
        return [request.numbers for request in self.requests]


def end_of_first_round(client: SegOpsClient) -> None:
    """Wait for the end of the round that was asked for first."""
    requests = client._delivery.current.flusher.requests
    with requests.listening() as news:
        while not requests.is_answered(1):
            news.wait(60)


def test_what_comes_while_a_round_sends_fills_a_batch_or_waits_for_its_own_interval(
    make_client: Callable[..., SegOpsClient],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    with Held() as segops:
        client = make_client(api_url=segops.url, flush_interval=NEVER)
        track(client, 5)
        flushing = threading.Thread(target=client.flush, args=(30,))
        flushing.start()
        try:
            assert segops.arrived.wait(60)
            track(client, 3, first=5)
        finally:
            segops.go_on.set()
            flushing.join(30)
        end_of_first_round(client)
        assert segops.batches == [[0, 1, 2, 3, 4]]
        assert client.stats().pending == 3
        track(client, 20, first=8)
        wait_until(lambda: client.stats().pending == 3)
        assert segops.batches[1:] == [list(range(5, 25))]


@pytest.mark.parametrize("is_left", [False, True])
def test_an_event_right_after_the_start_waits_for_its_interval_however_late_the_first_round_is(
    make_client: Callable[..., SegOpsClient],
    make_rig: Callable[..., Rig],
    monkeypatch: pytest.MonkeyPatch,
    is_left: bool,
) -> None:
    may_begin, is_over = threading.Event(), threading.Event()
    monkeypatch.setattr(Housekeeping, "before_round", lambda _self: may_begin.wait(60))
    monkeypatch.setattr(Housekeeping, "after_round", lambda _self, **_: is_over.set())
    monkeypatch.setattr(Clock, "draw", lambda _self, low, _high: low)
    with Held() as segops:
        segops.go_on.set()
        earlier = make_rig(segops.url)
        earlier.append(is_left)
        earlier.close()
        client = make_client(api_url=segops.url, flush_interval=NEVER)
        track(client, 1, first=1)
        may_begin.set()
        assert is_over.wait(60)
        assert segops.batches == [[0]] * is_left
        assert client.stats().pending == 1


def test_a_process_that_goes_on_with_an_outbox_sends_no_small_batch_for_that(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a child of a fork does: what its parent has tracked waits for its interval."""
    is_over = threading.Event()
    monkeypatch.setattr(Housekeeping, "after_round", lambda _self, **_: is_over.set())
    with Held() as segops:
        segops.go_on.set()
        rig = make_rig(segops.url)
        monkeypatch.setattr(rig.clock, "wait_for", lambda bell, *_: bell.wait(60))
        rig.append(45)
        rig.delivery.flusher.start(is_first=False)
        assert is_over.wait(60)
        assert segops.batches == [list(range(20)), list(range(20, 40))]


def test_a_round_ends_however_many_events_come_so_that_an_interval_does(
    make_rig: Callable[..., Rig],
) -> None:
    """Else one who has few events would wait for as long as another has many."""
    kiosk = Kiosk()
    clock = MovableClock()
    with Sessions(clock.time) as segops:
        rig = make_rig(
            segops.url,
            clock,
            api_key="pk_test",
            get_user=kiosk.get_user,
            user_context_for=kiosk.user_context_for,
        )

        def track_more() -> None:
            if len(segops.batches) < 50:
                rig.track(*events("bob", 20))

        kiosk.user = "ann"
        rig.track(*events("ann", 1))
        kiosk.user = "bob"
        rig.track(*events("bob", 20))
        segops.on_batch = track_more
        rig.delivery.sender.run_round(0)
        assert segops.arrived == [("bob", "bob")] * 20
        rig.round()
        assert segops.arrived.count(("ann", "ann")) == 1


def test_who_waits_for_room_gets_it_by_full_batches_as_long_as_there_are_any(
    make_client: Callable[..., SegOpsClient],
) -> None:
    with Held() as segops:
        segops.go_on.set()
        options = {"max_queue_events": 25, "overflow": "block", "flush_interval": NEVER}
        client = make_client(api_url=segops.url, **options)
        for event in numbered(125):
            client.track(event)
        assert {len(batch) for batch in segops.batches} == {20}
    with Held() as segops:
        segops.go_on.set()
        options["max_queue_events"] = 10
        client = make_client(
            api_url=segops.url,
            queue_path=client._outbox.path.with_name("small.db"),
            **options,
        )
        for event in numbered(30):
            client.track(event)
        assert segops.batches[0] == list(range(10))


@pytest.mark.parametrize("latency", [0.0, 0.005, 0.05])
def test_a_steady_load_takes_no_more_requests_than_full_batches_and_one_an_interval(
    make_client: Callable[..., SegOpsClient], latency: float
) -> None:
    count, interval, pause = 2000, 0.25, threading.Event()

    def accept(request: Request) -> bytes:
        pause.wait(latency)
        return segops.accept(request)

    with Peer(accept) as segops:
        client = make_client(api_url=segops.url, durability="normal", flush_interval=interval)
        start = time.monotonic()
        for event in numbered(count):
            client.track(event)
            if event.payload["n"] % 7 == 0:
                pause.wait(0.001)
        assert client.flush(30).ok
        intervals = (time.monotonic() - start) / interval
        assert len(segops.requests) <= 1.1 * count / 20 + intervals + 2
        assert segops.accepted.total() == count
