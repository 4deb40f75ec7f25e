"""Whose events a relay takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segops_durable import SegOpsError
from segops_durable.relay.client import FORMER_KEY_SECONDS
from support.clock import MovableClock
from support.peer import Peer
from support.relays import RunningRelay, event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

    Wait = Callable[[Callable[[], object]], None]

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


def test_callers_may_go_on_for_a_day_with_the_key_that_was_replaced_which_is_never_sent(
    relay_home: Path, wait_until: Wait
) -> None:
    clock = MovableClock()
    with (
        Peer(lambda _request: None) as segops,
        RunningRelay(segops.url, relay_home, api_key="sk_former") as relay,
    ):
        segops.react = segops.accept
        relay.go_by(clock)
        statuses = [relay.track(event(1), key="sk_former").status_code]
        wait_until(lambda: segops.accepted[1])
        before = len(segops.requests)
        relay.use_key("sk_new")
        for number, seconds in ((2, 0), (3, FORMER_KEY_SECONDS - 1)):
            clock.move(seconds)
            statuses += [
                relay.track(event(number), key="sk_former").status_code,
                relay.track(event(number), key="sk_new").status_code,
            ]
        assert statuses == [202] * 5
        clock.move(1)
        assert relay.track(event(4), key="sk_former").status_code == 401
        assert relay.track(event(5), key="sk_new").status_code == 202
        wait_until(lambda: segops.accepted == {1: 1, 2: 2, 3: 2, 5: 1})
    sent = [each.headers["authorization"] for each in segops.requests]
    assert {*sent[:before]} == {"ApiKey sk_former"}
    assert {*sent[before:]} == {"ApiKey sk_new"}


def test_what_waited_and_the_sessions_of_former_callers_go_out_with_the_new_key(
    make_relay: Callable[..., RunningRelay], sandbox: Sandbox, wait_until: Wait
) -> None:
    relay = make_relay(api_key="pk_former")
    clock = MovableClock()
    relay.go_by(clock)
    sandbox.stop()
    token = session_of(relay, "v-1", key="pk_former")
    relay.track(event(1), key=None, headers={"Authorization": f"Bearer {token}"})
    relay.use_key("pk_new")
    sandbox.start()
    clock.move(60)  # SegOps is tried again
    sandbox.configure(revoked_keys=["pk_former"])
    session_of(relay, "v-2", key="pk_former")
    wait_until(sandbox.events)
    assert {row["answer"] for row in sandbox.requests()} == {"200", "202"}
    assert [row["path"] for row in sandbox.requests()].count("/api/auth/session/") == 2


def session_of(relay: RunningRelay, name: str, key: str) -> str:
    answer = relay.post("/api/auth/session/", {"anonymous_id": name}, key=key)
    assert answer.status_code == 200
    token: str = answer.json()["token"]
    return token


@pytest.mark.parametrize("wrong", ["mk_no", "pk_other", ""])
def test_a_key_that_cannot_be_used_takes_no_caller_theirs(relay: RunningRelay, wrong: str) -> None:
    relay.use_key("sk_new")
    with pytest.raises((SegOpsError, TypeError)):
        relay.use_key(wrong)
    for key in ("sk_test", "sk_new"):
        assert relay.track(event(1), key=key).status_code == 202


def test_a_relay_that_was_started_anew_takes_no_former_key(relay: RunningRelay) -> None:
    relay.use_key("sk_new")
    assert relay.track(event(1)).status_code == 202
    relay.stop()
    relay.api_key = "sk_new"
    relay.start()
    assert relay.track(event(1)).status_code == 401
