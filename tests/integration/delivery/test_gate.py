"""Nothing is sent while the application says no, whatever it says that with; nothing is lost."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ConfigurationError, GateError, State
from support.events import numbers, track
from support.peer import Peer, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient, SegOpsError
    from segops_durable.sandbox import Sandbox
    from support.rig import Rig


@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize(("said", "wait"), [(False, 5.0), (600, 600.0), (0.5, 0.5)])
def test_it_is_asked_again_an_interval_later_or_after_so_many_seconds(
    make_rig: Callable[..., Rig], sandbox: Sandbox, said: float, wait: float, connections: int
) -> None:
    answers: list[bool | float] = [said, said, True]
    rig = make_rig(sandbox.url, may_send=lambda: answers.pop(0), max_in_flight=connections)
    rig.append(30)
    for _ in range(2):
        rig.next_round()
        assert (rig.state, rig.delivery.sender.pause_seconds) == ("gated", wait)
        assert rig.delivery.sender.is_blocked
    assert sandbox.requests() == []
    rig.next_round()
    assert (rig.state, rig.delivery.sender.pause_seconds) == ("idle", 0)
    assert sorted(numbers(sandbox)) == list(range(30))
    assert rig.told == []


@pytest.mark.parametrize("said", [True, 0, 0.0])
def test_yes_sends_and_so_does_a_wait_of_no_time(
    make_rig: Callable[..., Rig], sandbox: Sandbox, said: float
) -> None:
    rig = make_rig(sandbox.url, may_send=lambda: said)
    rig.append(3)
    rig.round()
    assert numbers(sandbox) == [0, 1, 2]


@pytest.mark.parametrize("said", [None, "yes", -1, -0.5, math.nan, math.inf, 1e300, [], object()])
def test_what_is_no_answer_is_told_once_and_sends_nothing(
    make_rig: Callable[..., Rig], sandbox: Sandbox, said: Any
) -> None:
    answers = [said, said, False, said, True]
    rig = make_rig(sandbox.url, may_send=lambda: answers.pop(0))
    rig.append(3)
    told = []
    for _ in range(4):
        rig.next_round()
        assert (rig.state, rig.delivery.sender.pause_seconds) == ("gated", 5.0)
        told.append(len(rig.told))
    assert told == [1, 1, 1, 2]  # it had worked meanwhile
    assert {type(each) for each in rig.told} == {GateError}
    assert sandbox.requests() == []
    rig.next_round()
    assert numbers(sandbox) == [0, 1, 2]


@pytest.mark.parametrize("failure", [ValueError("sk_live_0123456789"), SystemExit(1)])
def test_one_that_raises_is_told_once_and_asked_again(
    make_rig: Callable[..., Rig], sandbox: Sandbox, failure: BaseException
) -> None:
    asked: list[int] = []

    def may_send() -> bool:
        asked.append(1)
        if len(asked) < 3:
            raise failure
        return True

    rig = make_rig(sandbox.url, may_send=may_send)
    rig.append(3)
    for _ in range(3):
        rig.next_round()
    (error,) = rig.told
    assert isinstance(error, GateError)
    assert "may_send raised" in str(error)
    assert "0123456789" not in str(error)
    assert numbers(sandbox) == [0, 1, 2]


def test_a_long_round_ends_when_it_says_no_and_goes_on_where_it_was(
    make_rig: Callable[..., Rig],
) -> None:
    def react(request: Request) -> bytes:
        rig.clock.move(2.0)
        return segops.accept(request)

    with Peer(react) as segops:
        rig = make_rig(segops.url, may_send=lambda: len(segops.requests) not in range(3, 5))
        rig.append(200)
        rig.round()
        assert (rig.state, len(segops.requests)) == ("gated", 3)  # an interval had passed
        rig.clock.move(5.0)
        segops.requests.extend(segops.requests[:2])
        rig.round()
        assert rig.state == "idle"
    assert segops.accepted == Counter(range(200))


def test_it_is_not_asked_while_segops_wants_no_request(
    make_rig: Callable[..., Rig], sandbox: Sandbox
) -> None:
    asked: list[int] = []

    def may_send() -> bool:
        asked.append(1)
        return True

    rig = make_rig(sandbox.url, may_send=may_send)
    sandbox.faults(status=429, retry_after=600)
    rig.append(1)
    rig.round()
    rig.round(is_asked_for=True)
    assert len(asked) == 1
    assert rig.state == "rate_limited"


def test_a_flush_and_a_shutdown_ask_and_say_why_events_wait(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    asked: list[int] = []

    def may_send() -> bool:
        asked.append(1)
        return False

    client = make_client(may_send=may_send)
    track(client, 3)
    result = client.flush(timeout=30)
    assert (result.pending, result.blocked, result.state) == (3, True, State.GATED)
    stats = client.stats()
    assert (stats.state, stats.pending) == (State.GATED, 3)
    assert stats.retry_at is not None
    before = len(asked)
    assert client.shutdown(timeout=30).state is State.GATED
    assert len(asked) > before
    assert sandbox.requests() == []


def test_it_may_flush_on_the_thread_that_asks(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    told: list[SegOpsError] = []
    made: list[SegOpsClient] = []  # it asks before it is made

    def may_send() -> bool:
        for client in made:
            client.flush()
        return bool(made)

    client = make_client(may_send=may_send, on_error=told.append)
    made.append(client)
    track(client, 3)
    assert client.flush(timeout=30).ok
    assert told == []
    assert numbers(sandbox) == [0, 1, 2]


async def _soon() -> bool:
    return True


@pytest.mark.parametrize("wrong", [True, 600, "22:00", _soon])
def test_what_cannot_be_asked_is_refused(
    make_client: Callable[..., SegOpsClient], wrong: Any
) -> None:
    with pytest.raises(ConfigurationError, match="may_send"):
        make_client(may_send=wrong)
