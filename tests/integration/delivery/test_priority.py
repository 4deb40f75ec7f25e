"""High events leave before normal ones, and those before low ones; the oldest first in each."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable import Event, InvalidEventError, SegOpsClient
from segops_durable.delivery.lines import TURNS_BEFORE_OTHERS
from support.events import leave
from support.kiosk import Kiosk, event
from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable import SegOpsError
    from segops_durable.sandbox import Sandbox
    from support.rig import Rig

pytestmark = pytest.mark.one_python


@pytest.fixture(name="segops")
def accepting_segops() -> Iterator[Peer]:
    """A SegOps that takes all events."""
    with Peer(lambda request: peer.accept(request)) as peer:  # noqa: PLW0108 - it is made just now
        yield peer


def given(priority: str, count: int, first: int = 0) -> list[Event]:
    return [
        Event("u", "e", payload={"n": n}, priority=priority) for n in range(first, first + count)
    ]


def sent(segops: Peer) -> list[int]:
    return [n for each in segops.requests for n in each.numbers]


def version_of(path: object) -> int:
    with closing(sqlite3.connect(str(path))) as file:
        version: int = file.execute("PRAGMA user_version").fetchone()[0]
    return version


def test_high_ones_leave_before_normal_ones_and_those_before_low_ones(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    rig = make_rig(segops.url, batch_size=10)
    for first in range(0, 30, 5):
        rig.track(*given("low", 5, 100 + first))
        rig.track(*given("normal", 5, 200 + first))
        rig.track(*given("high", 5, 300 + first))
    rig.round(is_asked_for=True)
    assert sent(segops) == [*range(300, 330), *range(200, 230), *range(100, 130)]
    assert rig.outbox.waiting.counts().pending == 0


def test_nothing_of_it_is_sent_and_each_batch_has_one_priority(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.stop()
    client = make_client(max_retries=0)
    for priority in ("low", "normal", "high", None):
        client.track(user_id="u", event_type="e", payload={"p": 1}, priority=priority)
        client.track({"user_id": "u", "event_type": "e", "priority": priority})
        client.identify(user_id="u", traits={"p": 1}, priority=priority)
    client.track_many([*given("high", 6), *given("low", 6)])
    sandbox.start()
    assert client.flush(timeout=60).ok
    events = [row["event"] for row in sandbox.events()]
    names = {"user_id", "event_type", "occurred_at", "payload"}
    assert {frozenset(each) for each in events} == {frozenset(names)}
    assert [each["queued"] for each in sandbox.requests()] == [9, 6, 9]


def test_a_priority_that_is_none_is_refused_with_its_name_and_nothing_is_stored(
    make_client: Callable[..., SegOpsClient],
) -> None:
    client = make_client()
    for wrong in ("urgent", "", 1, True, ["high"]):
        for call in (
            lambda wrong=wrong: client.track(user_id="u", event_type="e", priority=wrong),
            lambda wrong=wrong: client.track(Event("u", "e", priority=wrong)),
            lambda wrong=wrong: client.identify(user_id="u", priority=wrong),
            lambda wrong=wrong: client.track_many(
                [{"user_id": "u", "event_type": "e", "priority": wrong}] * 9
            ),
        ):
            with pytest.raises(InvalidEventError, match='"high", "normal" or "low"') as caught:
                call()
            assert caught.value.field == "priority"
    assert client.stats().pending == 0


def test_under_a_public_key_each_user_has_lanes_and_all_are_sent_as_who_they_are(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    kiosk = Kiosk()
    sandbox.configure(require_signed=True)
    sandbox.stop()
    client = make_client(
        "pk_test",
        get_user=kiosk.get_user,
        user_context_for=kiosk.user_context_for,
        max_retries=0,
    )
    for priority in ("low", "normal", "high"):
        for user in ("ann", "bob", None):
            kiosk.user = user
            made = event(user)
            made.priority = priority
            made.payload["p"] = priority
            client.track(made)
    sandbox.start()
    assert client.flush(timeout=60).ok
    found = [row["event"]["payload"]["p"] for row in sandbox.events()]
    assert found == ["high"] * 3 + ["normal"] * 3 + ["low"] * 3
    by = Counter((row["event"]["payload"]["by"], row["user_id"]) for row in sandbox.events())
    visitor = client.anonymous_id
    assert by == {("ann", "ann"): 3, ("bob", "bob"): 3, (None, visitor): 3}


def test_one_who_cannot_be_sent_for_is_told_of_once_and_counted_in_all_lanes(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.configure(require_signed=True)
    kiosk = Kiosk()
    told: list[SegOpsError] = []
    client = make_client("pk_test", get_user=kiosk.get_user, on_error=told.append, max_retries=0)
    kiosk.user = "ann"
    for priority in ("low", "normal", "high"):
        client.track(Event("u", "e", priority=priority))
    kiosk.user = None
    assert client.flush(timeout=60).pending == 3
    assert client.stats().held == {"ann": 3}
    assert len(told) == 1
    assert client.forget("ann") == 3
    assert client.stats().pending == 0


def test_events_of_the_other_kind_of_key_wait_in_whichever_lane(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    kiosk = Kiosk()
    kiosk.user = "ann"
    client = make_client("pk_test", get_user=kiosk.get_user, max_retries=0)
    sandbox.faults(status=503)
    client.track(Event("u", "e", priority="high"))
    client.flush(timeout=60)
    leave(client)
    sandbox.faults()
    client = make_client("sk_test")
    client.track(Event("u", "e", priority="low"))
    assert (client.flush(timeout=60).sent, client.stats().held) == (1, {"ann": 1})
    client.track(Event("u", "e", priority="low"))
    leave(client)
    client = make_client("pk_test", get_user=kiosk.get_user)
    assert client.flush(timeout=60).sent == 1
    assert sum(client.stats().held.values()) in {0, 1}


def test_a_high_event_that_comes_while_a_backlog_is_sent_goes_after_an_interval_at_most(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    rig = make_rig(segops.url, batch_size=10, flush_interval=5.0)

    def accept_slowly(request: Request) -> bytes:
        rig.clock.move(1.0)
        if len(segops.requests) == 2:
            rig.track(*given("high", 1, 999))
        return segops.accept(request)

    segops.react = accept_slowly
    rig.append(500)
    rig.round()
    place = next(n for n, each in enumerate(segops.requests) if 999 in each.numbers)
    assert place <= 2 + 5
    assert segops.accepted == Counter([*range(500), 999])


def test_low_ones_have_a_turn_now_and_then_however_many_high_ones_come(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    """A plan whose calls the high ones use up would have the others wait for ever."""
    rig = make_rig(segops.url, batch_size=10)
    rig.track(*given("low", 10, 0))
    rig.track(*given("normal", 30, 100))

    def always_more(request: Request) -> bytes:
        rig.track(*given("high", 10, 1000 + 10 * len(segops.requests)))
        return segops.accept(request) if len(segops.requests) % 5 else answer(429, {})

    segops.react = always_more
    for _ in range(200):
        rig.next_round()
        if {*range(10), *range(100, 130)} <= set(segops.accepted):
            break
    requests = len(segops.requests)
    assert set(range(10)) <= set(segops.accepted)
    assert requests <= 2 * (TURNS_BEFORE_OTHERS + 1) ** 2


def test_what_was_in_flight_at_a_kill_is_repeated_under_its_key_in_its_lane(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    segops.react = lambda _request: None
    rig = make_rig(segops.url, max_retries=0)
    rig.track(*given("normal", 5), *given("high", 5, 10), *given("low", 5, 20))
    rig.round(is_asked_for=True)
    first = segops.requests[0]
    assert first.numbers == [*range(10, 15)]
    rig.close()
    segops.react = segops.accept
    again = make_rig(segops.url, rig.clock)
    again.track(*given("high", 5, 30))
    again.round(is_asked_for=True)
    later = segops.requests[1:]
    assert (later[0].key, later[0].body) == (first.key, first.body)
    assert [each.numbers[0] for each in later] == [10, 30, 0, 20]
    assert segops.accepted == Counter([*range(5), *range(10, 15), *range(20, 25), *range(30, 35)])


def test_a_dead_letter_keeps_it_for_when_it_is_put_back(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    segops.react = lambda _request: answer(400, {"detail": "no"})
    rig = make_rig(segops.url)
    rig.track(*given("low", 1, 0), *given("high", 1, 1))
    rig.round(is_asked_for=True)
    assert [each.priority for each in rig.outbox.dead_letters] == ["high", "low"]
    rig.track(*given("normal", 1, 2))
    rig.outbox.dead_letters.retry()
    segops.react = segops.accept
    made = len(segops.requests)
    rig.round(is_asked_for=True)
    assert [each.numbers for each in segops.requests[made:]] == [[1], [2], [0]]


def test_a_file_is_of_another_version_only_once_an_event_has_one(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    rig = make_rig(segops.url)
    rig.track(*given("normal", 5))
    assert version_of(rig.outbox.path) == 7
    rig.track(*given("low", 1))
    assert version_of(rig.outbox.path) == 8
    rig.close()
    again = make_rig(segops.url, rig.clock)
    again.round(is_asked_for=True)
    assert (version_of(again.outbox.path), len(sent(segops))) == (8, 6)
    assert again.outbox.pop_incidents() == []
