"""As whom events are sent: the current user, a visitor, or whoever can be signed for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import IdentityError, SegOpsClient, UserContext
from support.clock import MovableClock
from support.kiosk import Kiosk, attributed, events, track
from support.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsError
    from segops_durable.sandbox import Sandbox
    from support.rig import Rig


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
    result = client.flush(timeout=60)
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
    assert client.flush(timeout=60).ok
    assert attributed(sandbox) == [("ann", "ann")]


def test_a_visitor_keeps_one_anonymous_id_across_restarts(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    known = set()
    for _ in range(2):
        client = make_client("pk_test")
        track(client, None)
        assert client.flush(timeout=60).ok
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
    client.flush(timeout=60)
    other.flush(timeout=60)
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
    assert client.flush(timeout=60).ok
    context = UserContext("ann", anonymous_id="ann's own")
    track(client, "ann")
    assert client.flush(timeout=60).ok
    context = UserContext(anonymous_id="a visitor's own")
    track(client, None)
    assert client.flush(timeout=60).ok
    ids = [row["event"]["anonymous_id"] for row in sandbox.events()]
    assert ids == [client.anonymous_id, "ann's own", "a visitor's own"]
    assert [user for _, user in attributed(sandbox)] == ["ann", "ann", "a visitor's own"]


def test_under_a_secret_key_events_are_sent_as_they_are(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client("sk_test", get_user=lambda: pytest.fail("it was asked"))
    track(client, "ann")
    assert client.flush(timeout=60).ok
    (row,) = sandbox.events()
    assert row["user_id"] == "someone"
    assert "anonymous_id" not in row["event"]


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
    client.flush(timeout=60)
    sandbox.start()
    broken = True
    assert client.flush(timeout=60).blocked
    assert "the session store is down" in str(client.stats().last_error)
    broken = False
    assert client.flush(timeout=60).ok


BAD_CONTEXTS: list[tuple[Any, str]] = [
    (5, "must return a UserContext or None, got one of type int"),
    ({"user_id": "ann"}, "must return a UserContext"),
    (UserContext(user_id=7), "user_id must be str, got one of type int"),  # type: ignore[arg-type]  # that is the test
    (UserContext("ann", user_id_ts="1"), "user_id_ts must be int, got one of type str"),  # type: ignore[arg-type]  # that is the test
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
    assert client.flush(timeout=60).blocked
    assert client.stats().held == {"": 3}
    errors = [error for error in told if "sent as whoever" in str(error)]
    assert len(errors) == 1  # of three, and on the sending thread
    assert isinstance(errors[0], IdentityError)
    with pytest.raises(IdentityError, match=problem):
        raise errors[0]
    now = UserContext("ann")
    assert client.flush(timeout=60).ok
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
    assert client.flush(timeout=60).blocked
    assert attributed(sandbox) == []
    assert "user_context_for('ann') is of user 'mallory'" in str(told[-1])
