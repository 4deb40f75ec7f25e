"""The turns of requests: one after the other by all processes, and told of while waited for."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from segops_durable import State
from segops_durable.api import BATCH_PATH, SESSION_PATH
from segops_durable.api.rate import FIRST_RATE
from support.events import numbered, track
from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox
    from support.clock import MovableClock
    from support.rig import Rig

PATIENCE = {"Retry-After": "60"}


def rate_of(rig: Rig) -> float | None:
    return rig.delivery.pacer.per_minute


def too_many(_request: Request) -> bytes:
    return answer(429, {"detail": "Later."}, PATIENCE)


@pytest.mark.parametrize("options", [{}, {"max_in_flight": 2}])
def test_requests_are_as_far_apart_when_a_process_is_started_for_each(
    make_rig: Callable[..., Rig], options: dict[str, int]
) -> None:
    times: list[float] = []
    clock: MovableClock | None = None

    def react(request: Request) -> bytes:
        times.append(rig.clock.monotonic())
        return segops.accept(request)

    with Peer(react) as segops:
        for number in range(6):
            rig = make_rig(segops.url, clock, max_requests_per_minute=30, **options)
            clock = rig.clock
            rig.append(1, first=number)
            rig.round(is_asked_for=True)
            rig.close()
    assert len(times) == 6
    assert all(later - earlier >= 2 - 1e-6 for earlier, later in pairwise(times))


def test_a_session_has_a_turn_as_well(make_rig: Callable[..., Rig], sandbox: Sandbox) -> None:
    rig = make_rig(sandbox.url, api_key="pk_test", max_requests_per_minute=30)
    began = rig.clock.monotonic()
    for number in range(2):
        rig.track(*numbered(1, number))
        rig.round(is_asked_for=True)
    assert [row["path"] for row in sandbox.requests()] == [SESSION_PATH, BATCH_PATH, BATCH_PATH]
    assert rig.clock.monotonic() - began >= 4.0 - 1e-6


@pytest.mark.parametrize("boot", [1, 2])
def test_the_next_process_goes_on_at_the_rate_that_was_learned_whatever_the_limit(
    make_rig: Callable[..., Rig], boot: int
) -> None:
    with Peer(too_many) as segops:
        rig = make_rig(segops.url)
        rig.append(1)
        assert rate_of(rig) is None
        rig.round()
        assert rate_of(rig) == FIRST_RATE
        rig.close()
        rig.clock.boot = boot
        again = make_rig(segops.url, rig.clock)
        assert rate_of(again) is None  # it has not the place yet
        again.round()
        assert rate_of(again) == FIRST_RATE


@pytest.mark.parametrize("how", ["idle", "started anew", "machine started anew"])
def test_what_was_learned_in_an_outage_is_outgrown_by_the_clock_while_nothing_is_sent(
    make_rig: Callable[..., Rig], how: str
) -> None:
    with Peer(too_many) as segops:
        rig = make_rig(segops.url, max_requests_per_minute=60)
        rig.append(1)
        for _ in range(6):
            rig.next_round()
        segops.react = segops.accept
        while not segops.accepted:
            rig.next_round()
        learned = rate_of(rig)
        assert learned is not None
        assert learned < 3
        interval = 60.0 / learned  # the last was drawn, up to a tenth longer, at a lower rate
        rig.clock.move(1.2 * interval)
        if how != "idle":
            rig.close()
        rig.clock.move(10 * 60)
        if how == "machine started anew":
            rig.clock.reboot(3600)  # long ago: it is no fleet that has power again
        if how != "idle":
            rig = make_rig(segops.url, rig.clock, max_requests_per_minute=60)
        rig.append(1, first=1)
        rig.round()
        assert len(segops.accepted) == 2
        grown = (rate_of(rig) or 0.0) - learned
        assert 10 <= grown <= 10 + 0.2 * interval / 60 + 0.1
        rig.clock.move(3600)
        rig.append(1, first=2)
        rig.round()
        assert rate_of(rig) == 60


def test_whoever_takes_the_place_of_one_that_hears_nothing_goes_on_at_its_rate(
    make_rig: Callable[..., Rig],
) -> None:
    with Peer(too_many) as segops:
        rig = make_rig(segops.url)
        rig.append(1)
        rig.round()
        again = make_rig(segops.url, rig.clock)
        found = again.outbox.sender_lock.knock()
        assert found is not None
        found[1].close()
        assert again.outbox.sender_lock.take_away(found[0]) is not None
        again.round()
        assert rate_of(again) == FIRST_RATE


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rate": 7}', '{"rate": {"wait": 7}}', "\0"])
def test_a_note_that_cannot_be_meant_limits_nothing(
    make_rig: Callable[..., Rig], queue_path: Path, text: str
) -> None:
    note = queue_path.with_name(queue_path.name + ".sender")
    with Peer(lambda _request: b"") as segops:
        segops.react = segops.accept
        rig = make_rig(segops.url)
        rig.append(1)
        rig.round()
        rig.close()
        note.write_text(text)
        again = make_rig(segops.url, rig.clock)
        again.append(1, first=1)
        again.round()
        assert rate_of(again) is None
    assert len(segops.accepted) == 2


def test_a_note_that_was_cut_short_by_a_kill_is_read(
    make_rig: Callable[..., Rig], queue_path: Path
) -> None:
    """A shorter one was written, and not the file cut behind it."""
    note = queue_path.with_name(queue_path.name + ".sender")
    with Peer(too_many) as segops:
        rig = make_rig(segops.url)
        rig.append(1)
        rig.round()
        rig.close()
        note.write_text(note.read_text() + '", "at": 1.0}')
        again = make_rig(segops.url, rig.clock)
        again.round()
        assert rate_of(again) == FIRST_RATE


def test_nothing_is_noted_while_nobody_answers(
    make_rig: Callable[..., Rig], queue_path: Path, sandbox: Sandbox
) -> None:
    note = queue_path.with_name(queue_path.name + ".sender")
    rig = make_rig(sandbox.url, max_requests_per_minute=30)
    rig.append(1)
    rig.round()
    assert json.loads(note.read_text())["rate"]["wait"]["seconds"] == pytest.approx(2.0)
    sandbox.stop()
    rig.append(1, first=1)
    rig.next_round()
    before = note.read_bytes(), note.stat().st_mtime_ns
    for _ in range(5):
        rig.next_round()
    assert (note.read_bytes(), note.stat().st_mtime_ns) == before


def test_a_request_that_waits_for_its_turn_is_told_of(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    client = make_client(max_requests_per_minute=4, fleet_size=2)
    track(client, 1)
    client.flush(timeout=0)
    wait_until(lambda: client.stats().state is State.RATE_LIMITED)
    stats = client.stats()
    assert stats.requests_per_minute == 2.0
    assert stats.retry_at is not None
    result = client.flush(timeout=0.05)
    assert (result.pending, result.blocked) == (1, True)
    assert client.shutdown(timeout=0.05).blocked
    assert sandbox.requests() == []
