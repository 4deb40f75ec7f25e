"""Sessions of public keys, while SegOps can be reached and while it cannot."""

from __future__ import annotations

import json
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import sign_user_id
from segops_durable.sandbox import HMAC_SECRET
from support.peer import Peer, answer
from support.relays import RunningRelay, event, sign_command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox
    from support.peer import Request

    Wait = Callable[[Callable[[], object]], None]
    MakeRelay = Callable[..., RunningRelay]

pytestmark = pytest.mark.one_python


@pytest.fixture
def signer(tmp_path: Path) -> str:
    return sign_command(tmp_path)


@pytest.fixture
def relay(make_relay: MakeRelay) -> RunningRelay:
    return make_relay(api_key="pk_test")


def signed(user_id: str, ts: int | None = None) -> dict[str, Any]:
    return {**sign_user_id(HMAC_SECRET, user_id, ts)}


def session(relay: RunningRelay, **fields: Any) -> dict[str, Any]:
    answer = relay.post("/api/auth/session/", fields, key="pk_test")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert set(found) == {"token", "expires_at", "uid"}
    return found


def track(relay: RunningRelay, token: str, *numbers: int) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return relay.track(*map(event, numbers), key=None, headers=headers).status_code


def users(sandbox: Sandbox) -> list[tuple[str, int]]:
    return [(row["user_id"], row["event"]["payload"]["n"]) for row in sandbox.events()]


def test_a_session_is_opened_by_segops_itself_while_it_can_be_reached_and_its_token_sends(
    relay: RunningRelay, sandbox: Sandbox, wait_until: Wait
) -> None:
    sandbox.configure(require_signed=True)
    opened = session(relay, **signed("ann"))
    assert opened["uid"] == "ann"
    assert track(relay, opened["token"], 1, 2) == 202
    wait_until(lambda: len(sandbox.events()) == 2)
    assert users(sandbox) == [("ann", 1), ("ann", 2)]
    paths = [row["path"] for row in sandbox.requests()]
    assert paths.count("/api/auth/session/") == 1  # and none for the delivery


def test_what_segops_refuses_about_a_session_the_caller_is_told(
    relay: RunningRelay, sandbox: Sandbox
) -> None:
    sandbox.configure(require_signed=True)
    for fields in ({"user_id": "ann"}, {**signed("ann"), "user_id": "bob"}, signed("ann", 1)):
        answer = relay.post("/api/auth/session/", fields, key="pk_test")
        assert answer.status_code == 403
        assert "sign" in answer.json()["detail"].lower()
    sandbox.faults(status=400, json={"user_id": ["Malformed user_id."]})
    answer = relay.post("/api/auth/session/", {"user_id": "ann"}, key="pk_test")
    assert (answer.status_code, answer.json()) == (400, {"user_id": ["Malformed user_id."]})


def test_what_segops_refuses_in_words_that_cannot_be_said_again_is_refused(
    relay_home: Path,
) -> None:
    with (
        Peer(lambda _request: answer(403, '{"detail": "no \\ud800"}')) as segops,
        RunningRelay(segops.url, relay_home, api_key="pk_test") as relay,
    ):
        found = relay.post("/api/auth/session/", {"user_id": "ann"}, key="pk_test")
    assert found.status_code == 403
    assert found.json()["detail"].startswith("no ")


def test_a_session_that_segops_is_slow_to_open_keeps_no_other_caller_waiting(
    relay_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segops_durable.relay.upstream._MOST_SECONDS", 60.0)
    monkeypatch.setattr("segops_durable.relay.upstream._TURN_SECONDS", 0.1)
    is_asked, may_answer = threading.Event(), threading.Event()

    def react(_request: Request) -> None:
        is_asked.set()
        may_answer.wait(60)

    with (
        Peer(react) as segops,
        RunningRelay(segops.url, relay_home, api_key="pk_test", options={"timeout": 60}) as relay,
        ThreadPoolExecutor() as pool,
    ):
        try:
            first = pool.submit(session, relay, anonymous_id="first")
            assert is_asked.wait(60)
            assert session(relay, anonymous_id="second")["uid"] == "second"
            assert not first.done()
        finally:
            may_answer.set()
        assert first.result()["uid"] == "first"


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 429, "retry_after": 1},
        {"status": 401},
        {"portal": True},
        {"redirect": "http://example.org/"},
        {"reset": "before"},
    ],
)
def test_a_session_is_given_by_the_relay_while_segops_cannot_be_had_and_goes_out_as_its_user(
    relay: RunningRelay, sandbox: Sandbox, fault: dict[str, Any], wait_until: Wait
) -> None:
    sandbox.configure(require_signed=True)
    sandbox.faults(**fault)
    ann, visitor = session(relay, **signed("ann")), session(relay, anonymous_id="v-1")
    assert (ann["uid"], visitor["uid"]) == ("ann", "v-1")
    assert track(relay, ann["token"], 1) == track(relay, visitor["token"], 2) == 202
    sandbox.faults()
    relay.stop()
    relay.forget_rate()
    relay.start()  # it was told to wait, or is
    wait_until(lambda: len(sandbox.events()) == 2)
    assert set(users(sandbox)) == {("ann", 1), ("v-1", 2)}


def test_a_token_is_good_after_a_restart_and_of_no_other_relay(
    relay: RunningRelay, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.stop()
    token = session(relay, user_id="ann")["token"]
    relay.stop()
    relay.start()
    assert track(relay, token, 1) == 202
    (secret,) = (relay.home).glob("*.relay")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    (tmp_path / "other").mkdir()
    with RunningRelay(sandbox.url, tmp_path / "other", api_key="pk_test") as other:
        assert track(other, token, 2) == 401
    assert relay.waiting() == 1


def test_a_token_that_was_changed_or_is_none_is_refused(
    relay: RunningRelay, sandbox: Sandbox
) -> None:
    sandbox.stop()
    prefix, text, signature = session(relay, user_id="ann")["token"].split(".")
    other = session(relay, user_id="bob")["token"].split(".")[1]
    for token in (
        f"{prefix}.{other}.{signature}",
        f"{prefix}.{text}.{signature[:-1]}",
        f"{prefix}.{text}.",
        f"{prefix}.{text}",
        text,
        "",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.",
    ):
        assert track(relay, token, 1) == 401, token
    assert relay.waiting() == 0


def test_whoever_comes_back_with_a_signature_that_is_too_old_is_signed_for_by_the_backend(
    make_relay: MakeRelay, sandbox: Sandbox, signer: str, wait_until: Wait
) -> None:
    relay = make_relay("--sign-command", signer, api_key="pk_test")
    sandbox.configure(require_signed=True)
    sandbox.stop()
    token = session(relay, **signed("ann", 1_700_000_000))["token"]
    assert track(relay, token, 1) == 202
    sandbox.start()
    wait_until(sandbox.events)
    assert users(sandbox) == [("ann", 1)]


def test_a_signature_that_was_forged_offline_never_sends_as_that_user_and_keeps_nobody_waiting(
    make_relay: MakeRelay, sandbox: Sandbox, signer: str, wait_until: Wait
) -> None:
    relay = make_relay("--sign-command", signer, api_key="pk_test")
    sandbox.configure(require_signed=True)
    sandbox.stop()
    forged = {**signed("ann"), "user_id_sig": "0" * 64}
    bad, good = session(relay, **forged)["token"], session(relay, **signed("ann"))["token"]
    assert track(relay, bad, 1) == track(relay, session(relay, user_id="ann")["token"], 2) == 202
    assert track(relay, good, 3) == 202
    sandbox.start()
    wait_until(sandbox.events)
    wait_until(lambda: sandbox.summary()["answers"].get("403", 0) >= 2)
    assert users(sandbox) == [("ann", 3)]
    wait_until(lambda: relay.waiting() == 2)


def test_what_is_no_signature_is_refused_also_offline(
    relay: RunningRelay, sandbox: Sandbox
) -> None:
    sandbox.stop()
    for fields, status in (
        ({"user_id": "ann", "user_id_sig": "x", "user_id_ts": 1}, 403),
        ({"user_id": "ann", "user_id_sig": "0" * 64}, 403),
        ({"user_id": 5}, 400),
        ({"user_id": "ann", "user_id_ts": "1"}, 400),
        ({"anonymous_id": ["x"]}, 400),
    ):
        answer = relay.post("/api/auth/session/", fields, key="pk_test")
        assert answer.status_code == status, fields


def test_without_a_word_of_who_it_is_everybody_is_the_devices_visitor(
    relay: RunningRelay, sandbox: Sandbox, wait_until: Wait
) -> None:
    online = session(relay)["uid"]
    sandbox.stop()
    opened = session(relay)
    assert opened["uid"] == online
    assert track(relay, opened["token"], 1) == 202
    sandbox.start()
    wait_until(sandbox.events)
    (row,) = sandbox.events()
    assert (row["user_id"], row["event"]["anonymous_id"]) == (online, online)


def test_a_session_that_is_over_is_refused_and_can_be_opened_again(
    relay: RunningRelay, sandbox: Sandbox, wait_until: Wait
) -> None:
    sandbox.configure(token_seconds=2)
    token = session(relay, user_id="ann")["token"]
    wait_until(lambda: track(relay, token, 1) == 401)
    assert track(relay, session(relay, user_id="ann")["token"], 2) == 202


def test_who_is_forgotten_is_so_also_where_they_were_never_checked(
    relay: RunningRelay, sandbox: Sandbox, make_client: Callable[..., Any]
) -> None:
    sandbox.stop()
    token = session(relay, **signed("ann"))["token"]
    assert track(relay, token, 1, 2) == 202
    relay.stop()
    client = make_client("pk_test", queue_path=relay.queue_path)
    assert client.forget("ann") == 2


def test_no_signature_is_shown_by_what_shows_the_queue(
    relay: RunningRelay, sandbox: Sandbox, make_client: Callable[..., Any]
) -> None:
    sandbox.stop()
    claim = signed("ann")
    assert track(relay, session(relay, **claim)["token"], 1) == 202
    relay.stop()
    told: list[Exception] = []
    sandbox.start()
    sandbox.configure(require_signed=True, clock_offset=4000)
    client = make_client("pk_test", queue_path=relay.queue_path, on_error=told.append)
    assert client.flush(timeout=30).pending == 1
    assert client.stats().held == {"ann": 1}
    assert told
    assert claim["user_id_sig"] not in json.dumps([str(each) for each in told]) + relay.log
