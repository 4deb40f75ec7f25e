from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable import IdentityError, SegOpsClient, State, UserContext, sign_user_id
from segops_durable.sandbox import HMAC_SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsError
    from segops_durable.sandbox import Sandbox

SESSION = "/api/auth/session/"


class Device:
    """Who is logged in on a shared device."""

    def __init__(self) -> None:
        self.user: str | None = None

    def __call__(self) -> UserContext:
        if self.user is None:
            return UserContext()
        return UserContext(**sign_user_id(HMAC_SECRET, self.user))


def track(client: SegOpsClient, user: str) -> None:
    client.track(user_id=user, event_type="page_viewed", payload={"by": user})


def attributed(sandbox: Sandbox) -> list[tuple[str, str]]:
    return [(row["event"]["payload"]["by"], row["user_id"]) for row in sandbox.events()]


def mints(sandbox: Sandbox) -> int:
    return sum(1 for request in sandbox.requests() if request["path"] == SESSION)


def test_a_public_key_mints_one_token_and_keeps_it(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    device = Device()
    device.user = "ann"
    client = make_client("pk_test", get_user=device)
    for _ in range(3):
        track(client, "ann")
        assert client.flush(timeout=10).ok
    assert attributed(sandbox) == [("ann", "ann")] * 3
    assert mints(sandbox) == 1


def test_events_wait_for_their_own_user_and_others_go_on(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.configure(require_signed=True)
    sandbox.stop()
    device = Device()
    told: list[SegOpsError] = []
    client = make_client("pk_test", get_user=device, on_error=told.append, max_retries=0)
    device.user = "ann"
    track(client, "ann")
    device.user = "bob"
    track(client, "bob")
    client.flush(timeout=10)
    sandbox.start()
    result = client.flush(timeout=10)
    assert attributed(sandbox) == [("bob", "bob")]
    assert (result.pending, result.blocked) == (1, True)
    assert [type(error) for error in told].count(IdentityError) == 1  # told of once
    device.user = "ann"
    assert client.flush(timeout=10).ok
    assert attributed(sandbox) == [("bob", "bob"), ("ann", "ann")]


def test_a_visitor_keeps_one_anonymous_id_across_restarts(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    for _ in range(2):
        client = make_client("pk_test")
        track(client, "visitor")
        assert client.flush(timeout=10).ok
        client.shutdown()
    assert len({user for _, user in attributed(sandbox)}) == 1


def test_a_rejected_token_is_minted_anew_once_and_a_reset_forgets_it(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client("pk_test")
    track(client, "visitor")
    assert client.flush(timeout=10).ok
    sandbox.faults(status=401, times=1)
    track(client, "visitor")
    assert client.flush(timeout=10).ok
    assert mints(sandbox) == 2
    client.reset_session()
    track(client, "visitor")
    assert client.flush(timeout=10).ok
    assert mints(sandbox) == 3


def test_a_token_is_renewed_before_it_expires(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.configure(token_seconds=59)  # within the minute in which tokens are renewed
    client = make_client("pk_test")
    for _ in range(2):
        track(client, "visitor")
        assert client.flush(timeout=10).ok
    assert mints(sandbox) == 2


def test_a_revoked_public_key_keeps_the_events(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.configure(revoked_keys=["pk_test"])
    client = make_client("pk_test")
    track(client, "visitor")
    assert client.flush(timeout=10).blocked
    assert client.stats().state is State.UNAUTHORISED
    sandbox.configure()
    assert client.flush(timeout=10).ok


def test_a_token_for_somebody_else_or_none_at_all_sends_nothing(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client("pk_test", max_retries=0)
    track(client, "visitor")
    expires = "2100-01-01T00:00:00Z"
    for answer in (
        {"token": "t", "expires_at": expires, "uid": "somebody else"},
        {"token": "t", "expires_at": "whenever", "uid": "x"},
        {"expires_at": expires},
    ):
        sandbox.faults(status=200, json=answer)
        assert client.flush(timeout=10).pending == 1
    assert {request["path"] for request in sandbox.requests()} == {SESSION}


def test_a_get_user_that_raises_when_events_are_sent_makes_them_wait(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    device = Device()
    device.user = "ann"
    broken = False

    def get_user() -> UserContext:
        if broken:
            raise LookupError("the session store is down")
        return device()

    sandbox.stop()
    client = make_client("pk_test", get_user=get_user, max_retries=0)
    track(client, "ann")
    client.flush(timeout=10)
    sandbox.start()
    broken = True
    assert client.flush(timeout=10).blocked
    broken = False
    assert client.flush(timeout=10).ok
