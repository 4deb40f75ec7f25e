from __future__ import annotations

from typing import Any

import pytest

from segops_durable import ConfigurationError, sign_user_id, verify_user_id

SECRET = "5e" * 32
NOW = 1_800_000_000


def test_a_signature_is_verified_for_its_user_time_and_secret_only() -> None:
    signature = sign_user_id(SECRET, "ann", NOW)["user_id_sig"]
    assert verify_user_id(SECRET, "ann", signature, NOW, now=NOW)
    assert not verify_user_id(SECRET, "bob", signature, NOW, now=NOW)
    assert not verify_user_id(SECRET, "ann", signature, NOW + 1, now=NOW)
    assert not verify_user_id("5f" * 32, "ann", signature, NOW, now=NOW)
    assert not verify_user_id(SECRET, "ann", "00" * 32, NOW, now=NOW)


@pytest.mark.parametrize(
    ("age", "is_right"), [(300, True), (301, False), (-300, True), (-301, False)]
)
def test_a_signature_holds_for_5_minutes_either_way(age: int, is_right: bool) -> None:
    signed = sign_user_id(SECRET, "ann", NOW)
    assert verify_user_id(SECRET, **signed, now=NOW + age + 0.0) is is_right


def test_a_signature_of_now_is_right_now() -> None:
    assert verify_user_id(SECRET, **sign_user_id(SECRET, "ann"))


@pytest.mark.parametrize("signature", [None, 5, b"00", "", "é", "\ud800", "00" * 32])
@pytest.mark.parametrize("seconds", [None, "1", 1.5, True, 10**400, -1, NOW])
def test_whatever_comes_over_a_network_is_refused_without_an_error(
    signature: Any, seconds: Any
) -> None:
    assert verify_user_id(SECRET, "ann", signature, seconds, now=NOW) is False


@pytest.mark.parametrize("secret", ["xyz", "", None, "5"])
def test_a_wrong_secret_is_told_of_and_not_repeated(secret: Any) -> None:
    for call in (
        lambda: sign_user_id(secret, "ann"),
        lambda: verify_user_id(secret, "ann", None, None),
    ):
        with pytest.raises(ConfigurationError, match="secret_hex must") as caught:
            call()
        assert "xyz" not in str(caught.value)


def test_the_scheme_is_the_documented_one() -> None:
    # computed once with: printf 'user-123|1800000000' | openssl dgst -sha256 -mac HMAC …
    assert sign_user_id("00ff", "user-123", NOW) == {
        "user_id": "user-123",
        "user_id_sig": "879b0de1ef01684d3d958a25636a822bfa28607f400f988e0f98cd212d1603a9",
        "user_id_ts": NOW,
    }
