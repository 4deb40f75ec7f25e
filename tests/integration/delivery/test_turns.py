"""Identities take turns: whom no session is to be had for holds up nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segops_durable import IdentityError, SegOpsClient, State, UserContext
from support.clock import MovableClock
from support.kiosk import Kiosk, attributed, event, events, track
from support.peer import answer
from support.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsError
    from segops_durable.sandbox import Sandbox
    from support.rig import Rig


def test_events_wait_for_their_own_user_and_others_go_on(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.configure(require_signed=True)
    sandbox.stop()
    kiosk = Kiosk()
    told: list[SegOpsError] = []
    options = {"get_user": kiosk.get_user, "on_error": told.append, "max_retries": 0}
    client = make_client("pk_test", **options)
    kiosk.user = "ann"
    track(client, "ann")
    track(client, "ann")
    kiosk.user = "bob"
    track(client, "bob")
    client.flush(timeout=60)
    sandbox.start()
    for _ in range(3):
        result = client.flush(timeout=60)
        assert (result.pending, result.blocked) == (2, True)
    assert attributed(sandbox) == [("bob", "bob")]
    assert client.stats().held == {"ann": 2}
    (error,) = [each for each in told if isinstance(each, IdentityError)]  # told of once
    assert (error.identity, error.batch_size) == ("ann", 2)
    kiosk.user = "ann"
    assert client.flush(timeout=60).ok
    assert attributed(sandbox) == [("bob", "bob"), ("ann", "ann"), ("ann", "ann")]
    assert client.stats().held == {}


def test_a_user_who_comes_back_is_sent_for_without_a_flush(make_rig: Callable[..., Rig]) -> None:
    kiosk = Kiosk()
    clock = MovableClock()
    with Sessions(clock.time) as segops:
        rig = make_rig(segops.url, clock, api_key="pk_test", get_user=kiosk.get_user)
        kiosk.user = "ann"
        rig.track(*events("ann", 3))
        kiosk.user = None
        for _ in range(10):  # the waits for her grow meanwhile
            rig.next_round()
        assert segops.mints == []
        kiosk.user = "ann"
        rig.round()
        assert segops.arrived == [("ann", "ann")] * 3


def test_a_refused_signature_holds_that_user_only_and_is_told_of_once(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    sandbox.configure(require_signed=True)
    told: list[SegOpsError] = []
    user = UserContext("ann", user_id_sig="00", user_id_ts=1)
    client = make_client("pk_test", get_user=lambda: user, on_error=told.append)
    track(client, "ann")
    user = UserContext()
    track(client, None)
    user = UserContext("ann", user_id_sig="00", user_id_ts=1)
    for _ in range(2):
        assert client.flush(timeout=60).blocked
    assert [by for by, _ in attributed(sandbox)] == [None]
    assert client.stats().state is State.UNAUTHORISED
    assert [(type(error), getattr(error, "status", None)) for error in told] == [
        (IdentityError, 403)
    ]
    sandbox.configure()  # and now nobody looks at signatures
    user = UserContext("ann")
    assert client.flush(timeout=60).ok
    wait_until(lambda: client.stats().state is State.IDLE)  # once that round is over as well


def test_a_user_whose_session_is_refused_is_asked_for_less_and_less_often(
    make_rig: Callable[..., Rig],
) -> None:
    kiosk = Kiosk()
    kiosk.user = "ann"
    asked = 0

    def get_user() -> UserContext | None:
        nonlocal asked
        asked += 1
        return kiosk.get_user()

    clock = MovableClock()
    with Sessions(clock.time) as segops:
        segops.moods["ann"] = answer(403, {"detail": "Bad signature."})
        rig = make_rig(segops.url, clock, api_key="pk_test", get_user=get_user)
        rig.track(*events("ann", 1))
        for _ in range(720):  # an hour
            rig.clock.move(5)
            rig.round()
        assert 12 <= len(segops.requests) <= 40
        assert asked <= len(segops.requests) + 1
        del segops.moods["ann"]
        rig.clock.move(300)
        rig.round()
        assert segops.arrived == [("ann", "ann")]


@pytest.mark.parametrize(
    "trouble",
    [answer(500, {"detail": "Oh."}), answer(200, "<html>", content_type="text/html")],
    ids=["error", "portal"],
)
def test_trouble_with_one_users_session_does_not_stop_the_others(
    make_rig: Callable[..., Rig], trouble: bytes
) -> None:
    kiosk = Kiosk()
    clock = MovableClock()
    options = {"get_user": kiosk.get_user, "user_context_for": kiosk.user_context_for}
    with Sessions(clock.time) as segops:
        segops.moods["ann"] = trouble
        rig = make_rig(segops.url, clock, api_key="pk_test", batch_size=5, max_retries=0, **options)
        kiosk.user = "ann"
        rig.track(*events("ann", 100))
        kiosk.user = "bob"
        rig.track(*events("bob", 100))
        rig.round()
        rig.next_round()
        assert segops.arrived.count(("bob", "bob")) == 100
        rig.track(*events("bob", 50))  # and it does not slow them down later on
        rig.next_round()
        assert segops.arrived.count(("bob", "bob")) == 150
        assert rig.state == "backing_off"
        segops.moods.clear()
        clock.move(300)
        rig.round()
        assert segops.arrived.count(("ann", "ann")) == 100
        assert rig.state == "idle"


def test_when_no_session_can_be_had_a_round_asks_once(make_rig: Callable[..., Rig]) -> None:
    kiosk = Kiosk()
    clock = MovableClock()
    with Sessions(clock.time) as segops:
        options = {"get_user": kiosk.get_user, "user_context_for": kiosk.user_context_for}
        rig = make_rig(segops.url, clock, api_key="pk_test", max_retries=0, **options)
        for number in range(10):
            kiosk.user = f"user-{number}"
            segops.moods[kiosk.user] = answer(503, {"detail": "Later."})
            rig.track(event(kiosk.user))
        for rounds in range(1, 21):
            rig.next_round()
            assert len(segops.requests) == rounds
        assert rig.state == "backing_off"
        segops.moods.clear()
        rig.next_round()
        assert len(segops.arrived) == 10


def test_a_server_that_asks_for_patience_when_a_session_is_opened_gets_it(
    make_rig: Callable[..., Rig],
) -> None:
    kiosk = Kiosk()
    kiosk.user = "ann"
    clock = MovableClock()
    with Sessions(clock.time) as segops:
        segops.moods["ann"] = answer(429, {"detail": "Slow down."}, {"Retry-After": "100"})
        rig = make_rig(segops.url, clock, api_key="pk_test", get_user=kiosk.get_user)
        rig.track(event("ann"))
        for _ in range(10):
            rig.round(is_asked_for=True)
            clock.move(9.9)
        assert len(segops.requests) == 1
        assert rig.state == "rate_limited"
        segops.moods.clear()
        clock.move(21.1)  # it waits a fifth longer at most
        rig.round()
        assert segops.arrived == [("ann", "ann")]


def test_a_key_that_gets_no_session_for_anybody_is_not_tried_for_all_of_them_at_once(
    make_rig: Callable[..., Rig],
) -> None:
    kiosk = Kiosk()
    users = [f"user-{number}" for number in range(50)]
    clock = MovableClock()
    with Sessions(clock.time) as segops:
        options = {"get_user": kiosk.get_user, "user_context_for": kiosk.user_context_for}
        rig = make_rig(segops.url, clock, api_key="pk_test", **options)
        for kiosk.user in users:
            segops.moods[kiosk.user] = answer(403, {"detail": "Your plan has ended."})
            rig.track(event(kiosk.user))
        rig.round()
        assert len(segops.requests) <= 20 * 2  # what get_user signs, and what is signed afresh
        assert rig.state == "unauthorised"
        segops.moods.clear()
        for _ in range(3):
            rig.clock.move(300)
            rig.round()
        assert sorted(segops.arrived) == sorted((user, user) for user in users)


def test_identities_take_turns_with_the_oldest_event_first(make_rig: Callable[..., Rig]) -> None:
    kiosk = Kiosk()
    options = {"get_user": kiosk.get_user, "user_context_for": kiosk.user_context_for}
    clock = MovableClock()
    with Sessions(clock.time) as segops:
        rig = make_rig(segops.url, clock, api_key="pk_test", batch_size=10, **options)
        for kiosk.user, count in (("zoe", 50), ("bob", 10), ("ann", 20)):
            rig.track(*events(kiosk.user, count))
        rig.round()
        turns = [uid for _, uid, _ in segops.batches]
        assert turns == ["zoe", "bob", "ann", "zoe", "ann", "zoe", "zoe", "zoe"]


def test_a_suspect_whose_user_is_held_waits_with_them_and_others_go_on(
    make_rig: Callable[..., Rig],
) -> None:
    """It would be asked for again and again in one round, which sent nothing and never ended."""
    kiosk = Kiosk()
    asked = 0

    def user_context_for(_identity: str) -> None:
        nonlocal asked
        asked += 1
        if asked > 100:
            rig.delivery.flusher.stop(0)  # the end of a round that has none

    clock = MovableClock()
    options = {"get_user": kiosk.get_user, "user_context_for": user_context_for}
    with Sessions(clock.time) as segops:
        rig = make_rig(segops.url, clock, api_key="pk_test", max_retries=0, **options)
        kiosk.user = "ann"
        rig.track(event("ann"))
        segops.refused = [answer(500, {"detail": "Oh."})]
        rig.round()
        kiosk.user = "bob"
        rig.track(event("bob"))
        clock.move(3600)  # the token of her that is kept here is over
        for _ in range(3):
            rig.next_round()
        assert asked < 10
        assert segops.arrived == [("bob", "bob")]
        assert rig.delivery.sender.held == ("user:ann",)
        kiosk.user = "ann"
        rig.round(is_asked_for=True)
        assert segops.arrived == [("bob", "bob"), ("ann", "ann")]
        assert rig.outbox.waiting.counts().pending == 0
