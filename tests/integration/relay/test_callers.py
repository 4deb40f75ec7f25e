"""Whose events a relay takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.relays import RunningRelay, event

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("ApiKey sk_test", 202),
        ("apikey sk_test", 202),
        ("ApiKey sk_other", 401),
        ("ApiKey sk_tes", 401),
        ("ApiKey sk_t\xe9st", 401),
        ("ApiKey sk_", 401),
        ("ApiKey mk_test", 403),
        ("ApiKey pk_test", 403),
        ("Basic c2tfdGVzdA==", 401),
        ("Bearer sk_test", 401),
        ("", 401),
    ],
)
def test_only_the_relays_own_secret_key_may_post_and_nothing_else_is_stored(
    relay: RunningRelay, sandbox: Sandbox, authorization: str, status: int
) -> None:
    sandbox.stop()
    headers = {"Authorization": authorization.encode("latin-1")} if authorization else {}
    answer = relay.track(event(1), key=None, headers=headers)
    assert answer.status_code == status
    assert list(answer.json()) == (["queued", "skipped"] if status == 202 else ["detail"])
    assert relay.waiting() == (status == 202)


def test_with_trust_local_any_program_of_this_machine_may_post_and_the_relays_key_goes_out(
    make_relay: Callable[..., RunningRelay],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    relay = make_relay("--trust-local", api_key="sk_good")
    sandbox.configure(revoked_keys=["sk_other"])
    assert relay.track(event(1), key="sk_other").status_code == 202
    assert relay.track(event(2), key=None).status_code == 202
    assert relay.track(event(3), key="mk_other").status_code == 403
    wait_until(lambda: len(sandbox.events()) == 2)


def test_no_session_is_opened_by_a_relay_with_a_secret_key(relay: RunningRelay) -> None:
    answer = relay.post("/api/auth/session/", {"user_id": "u"}, key="pk_test")
    assert answer.status_code == 403
    answer = relay.post("/api/auth/session/", {"user_id": "u"})
    assert answer.status_code == 403


def test_no_secret_key_may_post_to_a_relay_with_a_public_one(
    make_relay: Callable[..., RunningRelay],
) -> None:
    relay = make_relay("--trust-local", api_key="pk_test")
    assert relay.track(event(1), key="sk_test").status_code == 403
    assert relay.post("/api/auth/session/", {}, key="sk_test").status_code == 403
    assert relay.post("/api/auth/session/", {}, key="mk_test").status_code == 403


def test_no_key_is_said_again_by_an_answer_or_a_log(relay: RunningRelay) -> None:
    for key in ("sk_secret_of_theirs", "mk_secret_of_theirs"):
        assert "secret_of_theirs" not in relay.track(event(1), key=key).text
    relay.stop()
    assert "secret_of_theirs" not in relay.log
