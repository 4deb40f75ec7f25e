from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import CredentialsError, IdentityError, SegOpsClient, State, UserContext
from segops_durable.clock import Clock
from segops_durable.exchange import Exchange, HeaderAuth
from segops_durable.handshake import Handshake
from segops_durable.users import Users
from support.clock import MovableClock
from support.kiosk import Kiosk, event
from support.peer import answer
from support.sessions import SESSION, Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsError
    from segops_durable.sandbox import Sandbox
    from support.rig import Rig


def track(client: SegOpsClient, by: str | None) -> None:
    client.track(event(by))


def attributed(sandbox: Sandbox) -> list[tuple[str | None, str]]:
    return [(row["event"]["payload"]["by"], row["user_id"]) for row in sandbox.events()]


def mints(sandbox: Sandbox) -> int:
    return sum(1 for request in sandbox.requests() if request["path"] == SESSION)


def events(by: str | None, count: int) -> list[Any]:
    return [event(by, number) for number in range(count)]


def test_a_public_key_mints_one_token_and_keeps_it(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    kiosk = Kiosk()
    kiosk.user = "ann"
    client = make_client("pk_test", get_user=kiosk.get_user)
    for _ in range(3):
        track(client, "ann")
        assert client.flush(timeout=10).ok
    assert attributed(sandbox) == [("ann", "ann")] * 3
    assert mints(sandbox) == 1


def test_the_first_events_of_32_threads_share_one_mint(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client("pk_test", batch_size=1)  # every event wakes the sender
    start = threading.Barrier(32)

    def first() -> None:
        start.wait(20)
        track(client, None)

    threads = [threading.Thread(target=first) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(timeout=20).ok
    assert len(attributed(sandbox)) == 32
    assert mints(sandbox) == 1


def test_32_callers_at_once_share_one_mint(sandbox: Sandbox) -> None:
    sandbox.faults(delay=0.2)
    exchange = Exchange(sandbox.url, timeout=10, user_agent="test")
    handshake = Handshake(exchange, "pk_test", Users(None, None, lambda: "a"), Clock())
    start = threading.Barrier(32)
    found: list[object] = []

    def call() -> None:
        start.wait(20)
        found.append(handshake.authorise("visitor:a"))

    threads = [threading.Thread(target=call) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    exchange.close()
    assert len(found) == 32
    assert len(set(map(id, found))) == 1
    assert isinstance(found[0], HeaderAuth)
    assert mints(sandbox) == 1


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
    client.flush(timeout=10)
    sandbox.start()
    for _ in range(3):
        result = client.flush(timeout=10)
        assert (result.pending, result.blocked) == (2, True)
    assert attributed(sandbox) == [("bob", "bob")]
    assert client.stats().held == {"ann": 2}
    (error,) = [each for each in told if isinstance(each, IdentityError)]  # told of once
    assert (error.identity, error.batch_size) == ("ann", 2)
    kiosk.user = "ann"
    assert client.flush(timeout=10).ok
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


def test_somebody_who_left_is_signed_for_afresh(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.configure(require_signed=True)
    sandbox.stop()
    kiosk = Kiosk()
    kiosk.withheld = {"bob"}
    callbacks = {"get_user": kiosk.get_user, "user_context_for": kiosk.user_context_for}
    client = make_client("pk_test", **callbacks, max_retries=0)
    for user in ("ann", "bob", None):
        kiosk.user = user
        track(client, user)
    sandbox.start()
    result = client.flush(timeout=10)
    assert (result.pending, result.blocked) == (1, True)
    assert attributed(sandbox) == [("ann", "ann"), (None, client.anonymous_id)]
    assert set(kiosk.asked) == {"ann", "bob"}  # a visitor needs no signature
    assert client.stats().held == {"bob": 1}


def test_an_old_signature_is_replaced_by_a_fresh_one(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.configure(require_signed=True)
    kiosk = Kiosk()
    kiosk.user = "ann"
    kiosk.ahead = -3600  # what get_user has is from her log-in, an hour ago
    old = kiosk.get_user()
    kiosk.ahead = 0
    callbacks = {"get_user": lambda: old, "user_context_for": kiosk.user_context_for}
    client = make_client("pk_test", **callbacks)
    track(client, "ann")
    assert client.flush(timeout=10).ok
    assert attributed(sandbox) == [("ann", "ann")]


def test_a_refused_signature_holds_that_user_only_and_is_told_of_once(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
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
        assert client.flush(timeout=10).blocked
    assert [by for by, _ in attributed(sandbox)] == [None]
    assert client.stats().state is State.UNAUTHORISED
    assert [(type(error), getattr(error, "status", None)) for error in told] == [
        (IdentityError, 403)
    ]
    sandbox.configure()  # and now nobody looks at signatures
    user = UserContext("ann")
    assert client.flush(timeout=10).ok
    assert client.stats().state is State.IDLE


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
        clock.move(1.1)
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


def test_a_visitor_keeps_one_anonymous_id_across_restarts(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    known = set()
    for _ in range(2):
        client = make_client("pk_test")
        track(client, None)
        assert client.flush(timeout=10).ok
        known.add(client.anonymous_id)
        client.shutdown()
    assert len(known) == 1
    assert {user for _, user in attributed(sandbox)} == known
    assert {row["event"]["anonymous_id"] for row in sandbox.events()} == known


def test_a_reset_parts_one_visitor_from_the_next_also_in_other_processes(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.stop()
    client, other = make_client("pk_test", max_retries=0), make_client("pk_test", max_retries=0)
    first = client.anonymous_id
    track(client, "first")
    client.reset()
    second = client.anonymous_id
    assert second != first
    track(client, "second")
    track(other, "second")
    sandbox.start()
    client.flush(timeout=10)
    other.flush(timeout=10)
    assert sorted(attributed(sandbox)) == [("first", first), ("second", second), ("second", second)]
    for row in sandbox.events():
        assert row["event"]["anonymous_id"] == row["user_id"]
    client.shutdown()
    assert make_client("pk_test").anonymous_id == second


def test_events_of_a_user_carry_the_devices_anonymous_id_or_the_one_given(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    context = UserContext("ann")
    client = make_client("pk_test", get_user=lambda: context)
    track(client, "ann")
    assert client.flush(timeout=10).ok
    context = UserContext("ann", anonymous_id="ann's own")
    track(client, "ann")
    assert client.flush(timeout=10).ok
    context = UserContext(anonymous_id="a visitor's own")
    track(client, None)
    assert client.flush(timeout=10).ok
    ids = [row["event"]["anonymous_id"] for row in sandbox.events()]
    assert ids == [client.anonymous_id, "ann's own", "a visitor's own"]
    assert [user for _, user in attributed(sandbox)] == ["ann", "ann", "a visitor's own"]


def test_under_a_secret_key_events_are_sent_as_they_are(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client("sk_test", get_user=lambda: pytest.fail("it was asked"))
    track(client, "ann")
    assert client.flush(timeout=10).ok
    (row,) = sandbox.events()
    assert row["user_id"] == "someone"
    assert "anonymous_id" not in row["event"]


def test_a_rejected_token_is_minted_anew_once_and_a_reset_forgets_it(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client("pk_test")
    track(client, None)
    assert client.flush(timeout=10).ok
    sandbox.faults(status=401, times=1)
    track(client, None)
    assert client.flush(timeout=10).ok
    assert mints(sandbox) == 2
    for count, forget in enumerate((client.reset_session, client.reset), start=3):
        forget()
        track(client, None)
        assert client.flush(timeout=10).ok
        assert mints(sandbox) == count


@pytest.mark.parametrize("status", [401, 403])
def test_tokens_that_are_refused_again_and_again_hold_their_user_only(
    make_rig: Callable[..., Rig], status: int
) -> None:
    kiosk = Kiosk()
    options = {"get_user": kiosk.get_user, "user_context_for": kiosk.user_context_for}
    clock = MovableClock()
    with Sessions(clock.time) as segops:
        rig = make_rig(segops.url, clock, api_key="pk_test", **options)
        for kiosk.user in ("ann", "bob"):
            rig.track(event(kiosk.user))
        segops.refused = [answer(status, {"detail": "No."})] * (2 if status == 401 else 1)
        rig.round()
        assert segops.arrived == [("bob", "bob")]
        assert segops.mints == (["ann", "ann", "bob"] if status == 401 else ["ann", "bob"])
        assert [type(error) for error in rig.told] == [IdentityError]
        rig.clock.move(300)
        rig.round()
        assert segops.arrived == [("bob", "bob"), ("ann", "ann")]


def test_a_token_that_expires_in_mid_drain_costs_one_more_mint(
    make_rig: Callable[..., Rig],
) -> None:
    kiosk = Kiosk()
    kiosk.user = "ann"
    clock = MovableClock()
    with Sessions(clock.time) as segops:
        rig = make_rig(segops.url, clock, api_key="pk_test", batch_size=5, get_user=kiosk.get_user)
        rig.track(*events("ann", 100))
        batches = 0

        def time_passes() -> None:
            nonlocal batches
            batches += 1
            rig.clock.move(1200 if batches == 7 else 0)

        segops.on_batch = time_passes
        rig.round()
        assert segops.arrived == [("ann", "ann")] * 100
        assert segops.mints == ["ann", "ann"]


def test_a_401_in_mid_drain_costs_one_more_mint(make_rig: Callable[..., Rig]) -> None:
    kiosk = Kiosk()
    kiosk.user = "ann"
    clock = MovableClock()
    with Sessions(clock.time) as segops:
        rig = make_rig(segops.url, clock, api_key="pk_test", batch_size=5, get_user=kiosk.get_user)
        rig.track(*events("ann", 20))
        rig.round()
        rig.track(*events("ann", 80))
        segops.refused = [answer(401, {"detail": "Revoked."})]
        rig.round()
        assert segops.arrived == [("ann", "ann")] * 100
        assert segops.mints == ["ann", "ann"]
        refused, again = segops.batches[4:6]
        assert refused[0] == again[0]  # under the same key
        assert refused[2] == again[2]


@pytest.mark.parametrize("ahead", [-600, 600])
def test_a_server_whose_clock_is_10_minutes_off_costs_no_mint(
    make_rig: Callable[..., Rig], sandbox: Sandbox, ahead: float
) -> None:
    sandbox.configure(require_signed=True, clock_offset=ahead)
    kiosk = Kiosk()
    kiosk.ahead = ahead  # the backend's clock is right, and the device's is not
    kiosk.user = "ann"
    rig = make_rig(sandbox.url, api_key="pk_test", batch_size=5, get_user=kiosk.get_user)
    rig.track(*events("ann", 50))
    rig.round()
    rig.clock.move(830)  # it lives 900 seconds, and is renewed 60 seconds before
    rig.track(*events("ann", 50))
    rig.round()
    assert attributed(sandbox) == [("ann", "ann")] * 100
    assert mints(sandbox) == 1
    rig.clock.move(15)
    rig.track(event("ann"))
    rig.round()
    assert mints(sandbox) == 2


@pytest.mark.parametrize(("lives", "renewed_after"), [(300, 240), (40, 20)])
def test_a_token_is_renewed_a_minute_or_half_its_life_before_its_end(
    make_rig: Callable[..., Rig], sandbox: Sandbox, lives: float, renewed_after: float
) -> None:
    sandbox.configure(token_seconds=lives)
    rig = make_rig(sandbox.url, api_key="pk_test")
    for after, count in ((0, 1), (renewed_after - 2, 1), (3, 2)):
        rig.clock.move(after)
        rig.track(event(None))
        rig.round()
        assert mints(sandbox) == count


def test_a_token_that_was_forgotten_while_it_was_minted_is_not_kept(
    make_rig: Callable[..., Rig],
) -> None:
    kiosk = Kiosk()
    clock = MovableClock()

    with Sessions(clock.time) as segops:
        rig = make_rig(segops.url, clock, api_key="pk_test", get_user=kiosk.get_user)
        kiosk.user = "ann"
        handshake = rig.delivery.handshake
        assert handshake is not None
        segops.on_mint = handshake.forget
        for count in (1, 2):
            rig.track(event("ann"))
            rig.round()
            assert segops.mints == ["ann"] * count
        assert segops.arrived == [("ann", "ann")] * 2


def test_tokens_are_kept_for_a_bounded_number_of_people(make_rig: Callable[..., Rig]) -> None:
    kiosk = Kiosk()
    options = {"get_user": kiosk.get_user, "user_context_for": kiosk.user_context_for}
    people = [f"user-{number}" for number in range(70)]
    clock = MovableClock()
    with Sessions(clock.time) as segops:
        rig = make_rig(segops.url, clock, api_key="pk_test", **options)
        for kiosk.user in people:
            rig.track(event(kiosk.user))
        rig.round()
        assert segops.mints == people
        assert rig.delivery.handshake is not None
        assert len(rig.delivery.handshake._tokens) == 64
        for kiosk.user in ("user-69", "user-0"):
            rig.track(event(kiosk.user))
        rig.round()
        assert segops.mints == [*people, "user-0"]


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


def test_a_revoked_public_key_keeps_the_events(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.configure(revoked_keys=["pk_test"])
    told: list[SegOpsError] = []
    client = make_client("pk_test", on_error=told.append)
    track(client, None)
    assert client.flush(timeout=10).blocked
    assert client.stats().state is State.UNAUTHORISED
    assert {type(error) for error in told} == {CredentialsError}
    sandbox.configure()
    assert client.flush(timeout=10).ok


def test_a_token_for_somebody_else_or_none_at_all_sends_nothing(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client("pk_test", max_retries=0)
    track(client, None)
    expires = "2100-01-01T00:00:00Z"
    for reply in (
        {"token": "t", "expires_at": expires, "uid": "somebody else"},
        {"token": "t", "expires_at": "whenever", "uid": client.anonymous_id},
        {"token": "t\n", "expires_at": expires, "uid": client.anonymous_id},
        {"expires_at": expires},
    ):
        sandbox.faults(status=200, json=reply)
        assert client.flush(timeout=10).pending == 1
    assert {request["path"] for request in sandbox.requests()} == {SESSION}


def test_a_get_user_that_raises_when_events_are_sent_makes_them_wait(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    kiosk = Kiosk()
    kiosk.user = "ann"
    broken = False

    def get_user() -> UserContext | None:
        if broken:
            raise LookupError("the session store is down")
        return kiosk.get_user()

    sandbox.stop()
    client = make_client("pk_test", get_user=get_user, max_retries=0)
    track(client, "ann")
    client.flush(timeout=10)
    sandbox.start()
    broken = True
    assert client.flush(timeout=10).blocked
    assert "the session store is down" in str(client.stats().last_error)
    broken = False
    assert client.flush(timeout=10).ok


BAD_CONTEXTS: list[tuple[Any, str]] = [
    (5, "must return a UserContext or None, got 5"),
    ({"user_id": "ann"}, "must return a UserContext"),
    (UserContext(user_id=7), "user_id must be str, got 7"),  # type: ignore[arg-type]  # that is the test
    (UserContext("ann", user_id_ts="1"), "user_id_ts must be int, got '1'"),  # type: ignore[arg-type]  # that is the test
    (UserContext("\ud800"), "user_id has a lone surrogate"),
    (LookupError("no session"), r"get_user\(\) raised LookupError: no session"),
]


@pytest.mark.parametrize(("bad", "problem"), BAD_CONTEXTS)
def test_an_event_is_stored_though_get_user_fails_and_sent_as_whoever_is_current_then(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, bad: Any, problem: str
) -> None:
    told: list[SegOpsError] = []
    now: Any = bad

    def get_user() -> Any:
        if isinstance(now, Exception):
            raise now
        return now

    client = make_client("pk_test", get_user=get_user, on_error=told.append)
    for _ in range(3):
        track(client, "?")
    assert client.flush(timeout=10).blocked
    assert client.stats().held == {"": 3}
    errors = [error for error in told if "sent as whoever" in str(error)]
    assert len(errors) == 1  # of three, and on the sending thread
    assert isinstance(errors[0], IdentityError)
    with pytest.raises(IdentityError, match=problem):
        raise errors[0]
    now = UserContext("ann")
    assert client.flush(timeout=10).ok
    assert attributed(sandbox) == [("?", "ann")] * 3


def test_events_of_whoever_are_sent_again_as_the_same_user(make_rig: Callable[..., Rig]) -> None:
    kiosk = Kiosk()
    is_broken = True

    def get_user() -> UserContext | None:
        if is_broken:
            raise LookupError
        return kiosk.get_user()

    options = {"get_user": get_user, "user_context_for": kiosk.user_context_for}
    clock = MovableClock()
    with Sessions(clock.time) as segops:
        rig = make_rig(segops.url, clock, api_key="pk_test", max_retries=0, batch_size=2, **options)
        rig.track(*events("?", 4))
        is_broken = False
        kiosk.user = "ann"
        segops.refused = [None]  # the answer to the first batch is lost
        rig.round()
        kiosk.user = "bob"
        rig.clock.move(60)
        rig.round(is_asked_for=True)
        rig.clock.move(60)
        rig.round(is_asked_for=True)
        assert sorted(segops.arrived) == [("?", "ann")] * 2 + [("?", "bob")] * 2
        (lost, *sent) = segops.batches
        assert [(uid, body) for key, uid, body in sent if key == lost[0]] == [lost[1:]]


def test_a_signer_that_signs_for_somebody_else_is_told_of_and_nothing_is_sent(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    kiosk = Kiosk()
    kiosk.user = "ann"
    told: list[SegOpsError] = []
    client = make_client(
        "pk_test",
        get_user=kiosk.get_user,
        user_context_for=lambda _user_id: UserContext("mallory"),
        on_error=told.append,
    )
    sandbox.stop()
    track(client, "ann")
    kiosk.user = None
    sandbox.start()
    assert client.flush(timeout=10).blocked
    assert attributed(sandbox) == []
    assert "user_context_for('ann') is of user 'mallory'" in str(told[-1])
