"""Who signs for users whose session is over, asked over the wire or by a command."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import UserContext
from segops_durable.relay import RelaySettings
from segops_durable.relay.signing import Signer, SigningError
from support.peer import Peer, answer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.one_python

CLAIM = UserContext("ann", user_id_sig="a" * 64, user_id_ts=1_700_000_000)
SIGNED: dict[str, Any] = {"user_id": "ann", "user_id_sig": "b" * 64, "user_id_ts": 1_800_000_000}


def asked(peer: Peer) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in peer.requests]


def test_a_url_is_asked_with_the_claim_and_with_whether_it_was_checked() -> None:
    with Peer(lambda _request: answer(200, SIGNED)) as backend:
        signer = Signer(RelaySettings(sign_url=f"{backend.url}/sign"))
        assert signer.renew(CLAIM) == UserContext(**SIGNED)
        assert signer("ann") == UserContext(**SIGNED)
        claim = {name: value for name, value in vars(CLAIM).items() if name != "anonymous_id"}
        nothing = {"user_id": "ann", "user_id_sig": None, "user_id_ts": None}
        assert asked(backend) == [{**claim, "checked": False}, {**nothing, "checked": True}]


def test_what_segops_has_taken_within_its_five_minutes_is_signed_for_without_asking() -> None:
    with Peer(lambda _request: answer(200, SIGNED)) as backend:
        signer = Signer(RelaySettings(sign_url=backend.url))
        fresh = UserContext("ann", user_id_sig="c" * 64, user_id_ts=int(time.time()))
        signer.note(fresh)
        assert signer("ann") == fresh
        signer.note(CLAIM)  # an old one
        assert signer("ann") == UserContext(**SIGNED)
        assert [each["user_id_sig"] for each in asked(backend)] == [CLAIM.user_id_sig]


@pytest.mark.parametrize(
    "reply",
    [
        answer(500, {"detail": "secret"}),
        answer(302, SIGNED, {"Location": "http://127.0.0.1:9/"}),
        answer(200, "no JSON: secret"),
        answer(200, [SIGNED]),
        None,
    ],
)
def test_a_url_that_signs_for_nobody_is_told_of_without_its_words(reply: bytes | None) -> None:
    with Peer(lambda _request: reply) as backend:
        signer = Signer(RelaySettings(sign_url=backend.url))
        with pytest.raises(SigningError) as caught:
            signer.renew(CLAIM)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("command", ["false", "no-such-command", "echo secret", "cat /dev/null"])
def test_a_command_that_signs_for_nobody_is_told_of_without_its_words(command: str) -> None:
    with pytest.raises(SigningError) as caught:
        Signer(RelaySettings(sign_command=command)).renew(CLAIM)
    assert "secret" not in str(caught.value)


def test_what_fails_slowly_is_asked_once_and_not_for_each_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "signer.py"
    path.write_text(f"open({str(tmp_path / 'asked')!r}, 'a').write('x'); raise SystemExit(1)")
    signer = Signer(RelaySettings(sign_command=f"{sys.executable} {path}"))
    monkeypatch.setattr("segops_durable.relay.signing._SLOW_SECONDS", 60.0)
    for _ in range(2):  # that was soon said
        with pytest.raises(SigningError, match="status 1"):
            signer.renew(CLAIM)
    monkeypatch.setattr("segops_durable.relay.signing._SLOW_SECONDS", 0.0)
    monkeypatch.setattr("segops_durable.relay.signing._TIMES_UNTRIED", 1e9)
    with pytest.raises(SigningError, match="status 1"):
        signer.renew(CLAIM)
    for _ in range(3):
        with pytest.raises(SigningError, match="left alone"):
            signer("bob")
    assert (tmp_path / "asked").read_text() == "xxx"


def test_a_command_is_no_line_of_a_shell(tmp_path: Path) -> None:
    code = "import json, sys; print(json.dumps({**json.load(sys.stdin), 'user_id_ts': 7}))"
    path = tmp_path / "a signer.py"
    path.write_text(code)
    signer = Signer(RelaySettings(sign_command=f"{sys.executable} '{path}' ; false"))
    renewed = signer.renew(CLAIM)
    assert renewed is not None
    assert renewed.user_id_ts == 7


def test_with_nobody_to_ask_only_those_who_are_known_are_vouched_for() -> None:
    signer = Signer(RelaySettings())
    assert signer.renew(CLAIM) is None
    assert signer("ann") == UserContext("ann")
