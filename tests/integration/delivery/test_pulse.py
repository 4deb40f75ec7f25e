"""The thread that sends shows that it gets on, however long it has a reason to wait."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from segops_durable.system.pulse import CALLBACK_SECONDS, LATE_SECONDS
from support.clock import MovableClock
from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.system.bell import Bell
    from support.rig import Rig


class Waits(MovableClock):
    """Notes each wait, and how much of it was overdue at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.overdue: Callable[[], float] = lambda: 0.0
        self.waits: list[tuple[float, float]] = []
        self.is_long = threading.Event()

    def wait_for(self, bell: Bell, is_met: Callable[[], bool], seconds: float) -> bool:
        was_met = super().wait_for(bell, is_met, seconds)
        self.waits.append((seconds, self.overdue()))
        if seconds > 3000:
            self.is_long.set()
        return was_met


def test_an_hours_pause_is_no_silence_to_be_ended_for(make_rig: Callable[..., Rig]) -> None:
    def refuse(_request: Request) -> bytes:
        return answer(429, {"detail": "Slower."}, {"Retry-After": "3600"})

    clock = Waits()
    with Peer(refuse) as segops:
        rig = make_rig(segops.url, clock)
        clock.overdue = lambda: rig.delivery.pulse.overdue
        rig.append(20)
        assert rig.delivery.hangs_for is None  # nothing runs yet
        rig.delivery.flusher.start()
        assert clock.is_long.wait(60)
        assert rig.delivery.flusher.stop(60)
        assert rig.delivery.hangs_for is None
    assert {overdue for _, overdue in clock.waits} == {0.0}


def test_a_request_may_take_its_timeout_and_a_callable_its_minute_and_no_more(
    make_rig: Callable[..., Rig],
) -> None:
    found: dict[str, float] = {}

    def look(name: str, allowed: float) -> None:
        rig.clock.move(allowed)
        found[name] = rig.delivery.pulse.overdue
        rig.clock.move(7.0)
        found[f"{name}, after that"] = rig.delivery.pulse.overdue

    def refuse(_request: Request) -> bytes:
        look("request", 20.0 + LATE_SECONDS)
        return answer(400, {"detail": "No."})

    def on_error(_error: object) -> None:
        look("callable", CALLBACK_SECONDS)

    options: dict[str, Any] = {"timeout": 20.0, "on_error": on_error}
    with Peer(refuse) as segops:
        rig = make_rig(segops.url, **options)
        rig.append(1)
        rig.round()
    assert found == {
        "request": 0.0,
        "request, after that": 7.0,
        "callable": 0.0,
        "callable, after that": 7.0,
    }
    assert rig.delivery.pulse.overdue == 0
