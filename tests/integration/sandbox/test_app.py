from __future__ import annotations

import http.client
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import requests
import segops

from segops_durable import sign_user_id
from segops_durable.sandbox import HMAC_SECRET, Sandbox
from segops_durable.sandbox.settings import PLANS

if TYPE_CHECKING:
    from pathlib import Path

EVENT = {"user_id": "u-1", "event_type": "page_viewed"}
TRACK = "/api/ingestion/track/"
BATCH = "/api/ingestion/track/batch/"
SESSION = "/api/auth/session/"
DATE = "Mon, 30 Nov 2026 12:00:00 GMT"


def post(
    sandbox: Sandbox, path: str, body: Any, authorization: str = "ApiKey sk_test", **headers: str
) -> requests.Response:
    return requests.post(
        sandbox.url + path,
        json=body,
        headers={"Authorization": authorization, **headers},
        timeout=10,
        allow_redirects=False,
    )


def test_one_event_and_a_batch_are_accepted_and_stored(sandbox: Sandbox) -> None:
    single = post(sandbox, TRACK, EVENT, **{"Idempotency-Key": "k-1"})
    assert (single.status_code, single.json()) == (202, {"queued": True})
    batch = post(sandbox, BATCH, {"events": [EVENT, {**EVENT, "user_id": "not an id"}]})
    assert (batch.status_code, batch.json()) == (202, {"queued": 1, "skipped": 1})
    assert [row["event"] for row in sandbox.events()] == [EVENT, EVENT]
    assert sandbox.requests()[0]["idempotency_key"] == "k-1"
    summary = sandbox.summary()
    assert (summary["events"], summary["distinct_events"], summary["skipped"]) == (2, 1, 1)
    assert summary["answers"] == {"202": 2}


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (BATCH, {"events": []}, "events"),
        (BATCH, {"events": [EVENT] * 501}, "events"),
        (BATCH, {"events": {}}, "events"),
        (BATCH, [], "detail"),
        (TRACK, {}, "user_id"),
        (TRACK, {**EVENT, "event_type": 3}, "event_type"),
        (TRACK, {**EVENT, "occurred_at": "2026-01-31T12:00:00"}, "occurred_at"),
        (TRACK, {**EVENT, "occurred_at": "soon"}, "occurred_at"),
        (TRACK, {**EVENT, "payload": [1]}, "payload"),
        (TRACK, {**EVENT, "user_id": "x" * 300}, "user_id"),
    ],
)
def test_what_fails_validation_gets_400_with_the_field(
    sandbox: Sandbox, path: str, body: Any, field: str
) -> None:
    answer = post(sandbox, path, body)
    assert answer.status_code == 400
    assert field in answer.json()


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("", 401),
        ("ApiKey nonsense", 401),
        ("ApiKey sk_revoked", 401),
        ("ApiKey pk_test", 403),
        ("ApiKey mk_test", 403),
        ("Bearer nonsense", 401),
        ("ApiKey sk_test", 202),
    ],
)
def test_each_kind_of_credential_gets_its_answer(
    sandbox: Sandbox, authorization: str, status: int
) -> None:
    sandbox.configure(revoked_keys=["sk_revoked"])
    assert post(sandbox, TRACK, EVENT, authorization).status_code == status


def test_a_token_rewrites_every_event_to_its_user_until_it_expires_or_is_revoked(
    sandbox: Sandbox,
) -> None:
    session = post(sandbox, SESSION, {"anonymous_id": "visitor"}, "ApiKey pk_test").json()
    assert session["uid"] == "visitor"
    bearer = f"Bearer {session['token']}"
    assert post(sandbox, TRACK, EVENT, bearer).status_code == 202
    assert sandbox.events()[0]["user_id"] == "visitor"
    sandbox.configure(revoked_keys=["pk_test"])
    assert post(sandbox, TRACK, EVENT, bearer).status_code == 401
    sandbox.configure(token_seconds=0)
    expired = post(sandbox, SESSION, {}, "ApiKey pk_test").json()
    assert post(sandbox, TRACK, EVENT, f"Bearer {expired['token']}").status_code == 401
    assert post(sandbox, SESSION, {}, "ApiKey sk_test").status_code == 403


def test_a_signature_is_checked_and_can_be_required(sandbox: Sandbox) -> None:
    def status(body: Any) -> int:
        return post(sandbox, SESSION, body, "ApiKey pk_test").status_code

    now = int(time.time())
    signed = sign_user_id(HMAC_SECRET, "ann")
    assert status({"user_id": "ann"}) == 200
    sandbox.configure(require_signed=True)
    assert status({"user_id": "ann"}) == 403
    assert status(signed) == 200
    assert status({**signed, "user_id": "bob"}) == 403
    assert status(sign_user_id(HMAC_SECRET, "ann", now - 301)) == 403
    assert status({"anonymous_id": "visitor"}) == 200


@pytest.mark.parametrize(
    "payload", [b'{"x": NaN}', b'{"x": -Infinity}', b'{"x": "\\ud800"}', b'{"x": "\xed\xa0\x80"}']
)
def test_what_is_no_json_or_no_text_is_refused(sandbox: Sandbox, payload: bytes) -> None:
    body = b'{"user_id": "u", "event_type": "x", "payload": %b}' % payload
    for path, data in ((TRACK, body), (BATCH, b'{"events": [%b]}' % body)):
        headers = {"Authorization": "ApiKey sk_test"}
        answer = requests.post(f"{sandbox.url}{path}", data=data, headers=headers, timeout=10)
        assert (answer.status_code, answer.json()) == (400, {"detail": "JSON parse error"})


def test_the_plans_are_those_that_segops_lists() -> None:
    assert PLANS == {"none": None, "free": 60, "starter": 300, "business": 1000}


def test_a_plan_limits_the_calls_of_a_minute(sandbox: Sandbox) -> None:
    sandbox.configure(plan="free")
    statuses = [post(sandbox, TRACK, EVENT).status_code for _ in range(61)]
    assert statuses == [202] * 60 + [429]
    assert 1 <= int(post(sandbox, TRACK, EVENT).headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    ("fault", "status", "header"),
    [
        ({"status": 503, "retry_after": 7}, 503, ("Retry-After", "7")),
        ({"status": 429, "retry_after": DATE}, 429, ("Retry-After", DATE)),
        ({"portal": True}, 200, ("Content-Type", "text/html; charset=utf-8")),
        ({"redirect": "/login"}, 302, ("Location", "/login")),
        ({"body_limit": 5}, 413, ("Content-Type", "application/json")),
        ({"status": 202, "json": {"queued": 0}}, 202, ("Content-Type", "application/json")),
    ],
)
def test_faults_are_switched_over_http_while_it_runs(
    sandbox: Sandbox, fault: dict[str, Any], status: int, header: tuple[str, str]
) -> None:
    assert post(sandbox, "/_sandbox/faults", {**fault, "times": 1}).ok
    answer = post(sandbox, TRACK, EVENT)
    assert (answer.status_code, answer.headers[header[0]]) == (status, header[1])
    assert post(sandbox, TRACK, EVENT).json() == {"queued": True}  # it was to be once
    assert requests.get(f"{sandbox.url}/_sandbox/faults", timeout=10).json()["times"] == 1
    requests.delete(f"{sandbox.url}/_sandbox/faults", timeout=10)
    assert requests.get(f"{sandbox.url}/_sandbox/faults", timeout=10).json()["times"] is None


@pytest.mark.parametrize(("reset", "accepted"), [("before", 0), ("after", 1)])
def test_a_reset_ends_the_connection_without_an_answer(
    sandbox: Sandbox, reset: str, accepted: int
) -> None:
    sandbox.faults(reset=reset, times=1)
    with pytest.raises(requests.ConnectionError):
        post(sandbox, TRACK, EVENT)
    assert len(sandbox.events()) == accepted


def test_a_rate_is_repeatable_with_a_seed(sandbox: Sandbox) -> None:
    def statuses() -> list[int]:
        sandbox.faults(status=503, rate=0.5, seed=7)
        return [post(sandbox, TRACK, EVENT).status_code for _ in range(20)]

    first = statuses()
    assert set(first) == {202, 503}
    assert statuses() == first


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("faults", {"rate": 2}, "rate"),
        ("faults", {"status": "bad"}, "status"),
        ("faults", {"reset": "never"}, "reset"),
        ("faults", {"redirect": 3}, "redirect"),
        ("faults", {"retry_after": -1}, "retry_after"),
        ("faults", {"retry_after": "soon\r\nX: y"}, "retry_after"),
        ("faults", {"retry_after": "x" * 101}, "retry_after"),
        ("faults", {"portal": "yes"}, "portal"),
        ("faults", {"fault": 1}, "fault"),
        ("faults", [], "body"),
        ("settings", {"plan": "gold"}, "plan"),
        ("settings", {"require_signed": 1}, "require_signed"),
        ("settings", {"revoked_keys": "sk_x"}, "revoked_keys"),
        ("settings", {"token_seconds": -1}, "token_seconds"),
    ],
)
def test_a_bad_control_gets_400_with_the_field(
    sandbox: Sandbox, path: str, body: Any, field: str
) -> None:
    answer = post(sandbox, f"/_sandbox/{path}", body)
    assert answer.status_code == 400
    assert field in answer.json()


def test_the_controls_answer_in_json(sandbox: Sandbox) -> None:
    def get(path: str) -> requests.Response:
        return requests.get(f"{sandbox.url}/_sandbox/{path}", timeout=10)

    for _ in range(3):
        post(sandbox, TRACK, EVENT)
    assert [row["id"] for row in get("events?after=1&limit=1").json()] == [2]
    assert len(get("requests").json()) == 3
    assert get("events?after=x").status_code == 400
    assert post(sandbox, "/_sandbox/settings", {"plan": "business"}).json()["plan"] == "business"
    assert get("settings").json()["plan"] == "business"
    assert post(sandbox, "/_sandbox/reset", {}).ok
    assert get("summary").json()["events"] == 0
    assert get("nothing").status_code == 404
    assert requests.get(sandbox.url + TRACK, timeout=10).status_code == 405


def test_it_comes_back_on_the_same_port_with_what_it_had(tmp_path: Path) -> None:
    store = tmp_path / "accepted.db"
    with Sandbox(store=store) as sandbox:
        url = sandbox.url
        post(sandbox, TRACK, EVENT)
        sandbox.stop()
        sandbox.stop()
        with pytest.raises(requests.ConnectionError):
            post(sandbox, TRACK, EVENT)
        sandbox.start()
        sandbox.start()
        assert sandbox.url == url
        post(sandbox, TRACK, EVENT)
    with Sandbox(store=store) as again:
        assert len(again.events()) == 2


@pytest.mark.parametrize("is_somebody_there", [True, False])
def test_it_stops_at_once_and_whoever_is_connected_is_told(
    monkeypatch: pytest.MonkeyPatch, is_somebody_there: bool
) -> None:
    monkeypatch.setattr("segops_durable.sandbox.server._TICK_SECONDS", 3600.0)
    with Sandbox() as sandbox:
        host, port = sandbox.url.removeprefix("http://").split(":")
        with closing(http.client.HTTPConnection(host, int(port), timeout=60)) as somebody:
            somebody.request("GET", "/_sandbox/summary")
            assert somebody.getresponse().read()
            connection = somebody.sock
            if not is_somebody_there:
                connection.shutdown(socket.SHUT_WR)
                assert connection.recv(1) == b""  # it has let go, too
            sandbox.stop()
            assert connection.recv(1) == b""


def test_the_official_client_works_against_it(sandbox: Sandbox) -> None:
    with segops.SegOpsClient(sandbox.url, "sk_test") as client:
        client.track(user_id="u-1", event_type="page_viewed", payload={"a": 1})
    signed = sign_user_id(HMAC_SECRET, "ann")
    with segops.SegOpsClient(
        sandbox.url, "pk_test", get_user=lambda: segops.UserContext(**signed)
    ) as client:
        client.track(user_id="whoever", event_type="page_viewed")
    assert [row["user_id"] for row in sandbox.events()] == ["u-1", "ann"]
