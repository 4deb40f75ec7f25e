"""Requests for sessions have their turns among those of the sender, and teach the same rate."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from segops_durable import UserContext
from segops_durable.api import BATCH_PATH, SESSION_PATH
from segops_durable.api.rate import FIRST_RATE
from segops_durable.client import Options
from segops_durable.relay.upstream import Upstream
from support.clock import MovableClock
from support.events import numbered, track
from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.api import Answer, Pacer
    from segops_durable.sandbox import Sandbox
    from support.relays import RunningRelay
    from support.rig import Rig

ANN = UserContext(user_id="ann")


class HookedClock(MovableClock):
    """Calls something, once, when somebody waits."""

    hook: Callable[[], object] | None = None

    def sleep(self, stop: threading.Event, seconds: float) -> bool:
        hook, self.hook = self.hook, None
        if hook is not None and seconds > 0:
            hook()
        return super().sleep(stop, seconds)


@dataclass
class Asking:
    """What a relay's client is to whoever asks SegOps, over a rig."""

    options: Options
    pacer: Pacer
    clock: MovableClock
    may_ask: bool = True


def upstream_of(rig: Rig, url: str) -> Upstream:
    options = Options(api_url=url, api_key="pk_test")
    return Upstream(Asking(options, rig.delivery.pacer, rig.clock))  # type: ignore[arg-type]  # all that is asked of it


def ask(upstream: Upstream) -> Answer | None:
    return asyncio.run(upstream.ask(ANN))


def opened(now: float) -> bytes:
    """A session of a second, so that each batch needs another."""
    moment = datetime.fromtimestamp(now, timezone.utc)
    until = (moment + timedelta(seconds=1)).isoformat()
    document = {"token": "token-of-ann", "uid": "ann", "expires_at": until}
    return answer(200, document, {"Date": format_datetime(moment, usegmt=True)})


@pytest.fixture
def clock() -> HookedClock:
    return HookedClock()


@pytest.fixture
def segops(clock: HookedClock) -> Iterator[SegOps]:
    with SegOps(clock) as peer:
        yield peer


class SegOps(Peer):
    """Takes everything, and notes when each call came, and which it was."""

    def __init__(self, clock: MovableClock) -> None:
        super().__init__(self._take)
        self._clock = clock
        self.calls: list[tuple[float, str]] = []
        self.refuses: dict[str, str] | None = None

    def _take(self, request: Request) -> bytes:
        now = self._clock.monotonic()
        kind = "session" if SESSION_PATH in request.line else "batch"
        assert kind == "session" or BATCH_PATH in request.line
        self.calls.append((now, kind))
        if self.refuses is not None:
            headers, self.refuses = self.refuses, None
            return answer(429, {"detail": "Later."}, headers)
        return opened(now) if kind == "session" else self.accept(request)


def ann() -> UserContext:
    return ANN


def test_a_minute_has_so_many_calls_whether_batches_their_sessions_or_those_of_callers(
    make_rig: Callable[..., Rig], clock: HookedClock, segops: SegOps
) -> None:
    rig = make_rig(segops.url, clock, api_key="pk_test", get_user=ann, max_requests_per_minute=30)
    upstream = upstream_of(rig, segops.url)
    began = clock.monotonic()
    number = 0
    while clock.monotonic() < began + 60:
        rig.track(*numbered(1, number))
        rig.round(is_asked_for=True)
        number += 1
        assert ask(upstream) is not None
    upstream.close()
    times = [at for at, _ in segops.calls]
    assert all(later - earlier >= 2 - 1e-6 for earlier, later in pairwise(times))
    assert sum(at < began + 60 - 1e-6 for at in times) == 30
    kinds = [kind for _, kind in segops.calls[:30]]
    assert kinds == ["session", "batch", "session"] * 10


def test_a_session_that_a_caller_waits_for_goes_before_a_backlog_and_does_not_hold_it_up(
    make_rig: Callable[..., Rig], clock: HookedClock, segops: SegOps
) -> None:
    rig = make_rig(segops.url, clock, max_requests_per_minute=30, batch_size=1, batch=False)
    upstream = upstream_of(rig, segops.url)
    rig.append(20)
    answers: list[Answer | None] = []

    def call() -> None:  # while a batch waits for its turn
        answers.extend([ask(upstream), ask(upstream)])
        clock.hook = call if len(answers) < 12 else None

    clock.hook = call
    rig.round(is_asked_for=True)
    upstream.close()
    kinds = "".join(kind[0] for _, kind in segops.calls)
    assert kinds == "b" + "sb" * 6 + "b" * 13
    assert [each is not None for each in answers] == [True, False] * 6
    times = [at for at, _ in segops.calls]
    assert all(later - earlier >= 2 - 1e-6 for earlier, later in pairwise(times))


@pytest.mark.parametrize("patience", [{}, {"Retry-After": "60"}])
def test_a_429_to_a_callers_session_teaches_the_rate_that_all_and_the_next_process_go_by(
    make_rig: Callable[..., Rig], clock: HookedClock, segops: SegOps, patience: dict[str, str]
) -> None:
    rig = make_rig(segops.url, clock)
    rig.round()  # it has the place
    upstream = upstream_of(rig, segops.url)
    segops.refuses = patience
    refused = ask(upstream)
    upstream.close()
    assert refused is not None
    assert refused.status == 429
    assert rig.delivery.pacer.per_minute == FIRST_RATE
    rig.append(1)
    rig.round(is_asked_for=True)
    (first, _), (then, _) = segops.calls
    assert then - first >= float(patience.get("Retry-After", 0))
    rig.close()
    again = make_rig(segops.url, clock)
    again.round()
    assert again.delivery.pacer.per_minute == FIRST_RATE


def test_nobody_is_forgotten_later_because_a_session_waits_for_its_turn(
    make_rig: Callable[..., Rig], clock: HookedClock, segops: SegOps
) -> None:
    rig = make_rig(segops.url, clock, api_key="pk_test", get_user=ann, max_requests_per_minute=30)
    upstream = upstream_of(rig, segops.url)
    done: list[bool] = []

    def forget() -> None:
        thread = threading.Thread(target=rig.delivery.forget, args=("bob",), daemon=True)
        thread.start()
        thread.join(60)
        done.append(not thread.is_alive())

    assert ask(upstream) is not None
    clock.hook = forget
    rig.track(*numbered(1))
    rig.round(is_asked_for=True)  # the session of the batch waits
    clock.hook = forget
    assert ask(upstream) is not None  # that of a caller waits
    upstream.close()
    assert done == [True, True]


def test_who_waits_for_a_turn_waits_no_longer_once_the_relay_ends(
    make_rig: Callable[..., Rig], segops: SegOps
) -> None:
    is_waiting = threading.Event()

    class EndlessClock(HookedClock):
        def sleep(self, stop: threading.Event, seconds: float) -> bool:
            if not seconds:
                return stop.is_set()
            is_waiting.set()
            return stop.wait(60)

    rig = make_rig(segops.url, EndlessClock(), max_requests_per_minute=30)
    upstream = upstream_of(rig, segops.url)
    assert ask(upstream) is not None
    answers: list[Answer | None] = []
    thread = threading.Thread(target=lambda: answers.append(ask(upstream)))
    thread.start()
    assert is_waiting.wait(60)
    upstream.end()
    thread.join(60)
    upstream.close()
    assert answers == [None]
    assert len(segops.calls) == 1


def session_of(relay: RunningRelay, name: str) -> None:
    answered = relay.post("/api/auth/session/", {"anonymous_id": name}, key="pk_test")
    assert (answered.status_code, answered.json()["uid"]) == (200, name)


def test_a_caller_for_whose_session_there_is_no_turn_soon_gets_one_of_the_relay(
    make_relay: Callable[..., RunningRelay], sandbox: Sandbox
) -> None:
    relay = make_relay(api_key="pk_test", options={"max_requests_per_minute": 1})
    for name in ("v-1", "v-2", "v-3"):
        session_of(relay, name)
    assert [row["path"] for row in sandbox.requests()] == [SESSION_PATH]


@pytest.mark.parametrize(("limit", "asked"), [(None, 1), (6000, 0)])
def test_beside_a_process_that_sends_and_has_a_limit_a_relay_asks_for_no_session(
    make_relay: Callable[..., RunningRelay],
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    relay_home: Path,
    limit: int | None,
    asked: int,
) -> None:
    sender = make_client("pk_test", queue_path=relay_home / "outbox.db")
    track(sender, 1)
    assert sender.flush().ok
    before = len(sandbox.requests())
    relay = make_relay(api_key="pk_test", options={"max_requests_per_minute": limit})
    session_of(relay, "v-1")
    assert len(sandbox.requests()) - before == asked
