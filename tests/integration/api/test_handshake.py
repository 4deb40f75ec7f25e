"""Tokens of a public key: minted once for all who need one, and renewed in time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from segops_durable import CredentialsError, IdentityError, SegOpsClient, State
from segops_durable.api.exchange import Exchange
from segops_durable.api.handshake import Handshake
from segops_durable.api.header_auth import HeaderAuth
from segops_durable.identity.users import Users
from segops_durable.system.clock import Clock
from support.clock import MovableClock
from support.kiosk import Kiosk, attributed, event, events, mints, track
from support.peer import answer
from support.sessions import SESSION, Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsError
    from segops_durable.sandbox import Sandbox
    from support.rig import Rig


def test_a_public_key_mints_one_token_and_keeps_it(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    kiosk = Kiosk()
    kiosk.user = "ann"
    client = make_client("pk_test", get_user=kiosk.get_user)
    for _ in range(3):
        track(client, "ann")
        assert client.flush(timeout=60).ok
    assert attributed(sandbox) == [("ann", "ann")] * 3
    assert mints(sandbox) == 1


def test_the_first_events_of_32_threads_share_one_mint(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client("pk_test", batch_size=1)  # every event wakes the sender
    start = threading.Barrier(32)

    def first() -> None:
        start.wait(60)
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
        start.wait(60)
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


def test_a_rejected_token_is_minted_anew_once_and_a_reset_forgets_it(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client("pk_test")
    track(client, None)
    assert client.flush(timeout=60).ok
    sandbox.faults(status=401, times=1)
    track(client, None)
    assert client.flush(timeout=60).ok
    assert mints(sandbox) == 2
    for count, forget in enumerate((client.reset_session, client.reset), start=3):
        forget()
        track(client, None)
        assert client.flush(timeout=60).ok
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


def test_a_revoked_public_key_keeps_the_events(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.configure(revoked_keys=["pk_test"])
    told: list[SegOpsError] = []
    client = make_client("pk_test", on_error=told.append)
    track(client, None)
    assert client.flush(timeout=60).blocked
    assert client.stats().state is State.UNAUTHORISED
    assert {type(error) for error in told} == {CredentialsError}
    sandbox.configure()
    assert client.flush(timeout=60).ok


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
        {"token": "", "expires_at": expires, "uid": client.anonymous_id},
        {"expires_at": expires},
    ):
        sandbox.faults(status=200, json=reply)
        assert client.flush(timeout=60).pending == 1
    assert {request["path"] for request in sandbox.requests()} == {SESSION}
