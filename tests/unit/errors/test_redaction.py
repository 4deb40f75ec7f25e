from __future__ import annotations

import pickle
import time
import traceback

import pytest

import segops_durable
from segops_durable import InvalidEventError, SegOpsError, UserContext
from segops_durable.errors.redaction import scrubbed, without_secrets

SECRETS = {
    "a secret key": ("the key sk_live_0123456789 is revoked", "sk_live_0123456789"),
    "a key without a digit": ("sk_live_abcdefgh", "abcdefgh"),
    "a short key": ("got 'pk_test_x'", "test_x"),
    "a management key": ("mk_A1b2C3d4E5f6", "A1b2C3d4E5f6"),
    "a key in a path": ("https://api.segops.ai/pk_live_abc/x", "pk_live_abc"),
    "a session token": ("Bearer abc123.def456", "abc123.def456"),
    "a key with its scheme": ("Authorization: ApiKey sk_x9Zz", "sk_x9Zz"),
    "a proxy's credentials": ("Proxy-Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    "a JWT": ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln is old", "eyJhbGciOiJIUzI1NiJ9"),
    "a JWT that is cut off": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiO", "eyJzdWIiO"),
    "a signature": ("signature " + "deadbeef" * 8 + " is old", "deadbeef" * 8),
    "a dict with a signature": ("{'user_id_sig': 'short-one', 'user_id': 'a'}", "short-one"),
    "JSON with a signature": ('{"user_id_sig": "short-one"}', "short-one"),
    "a call with one": ("UserContext(user_id='a', user_id_sig='short-one')", "short-one"),
    "a query with a token": ("https://x.y/z?token=ABC&a=b", "ABC"),
    "a proxy's password": ("cannot reach http://joe:hunter2@proxy:3128/", "hunter2"),
    "a password with an at-sign": ("http://joe:hun@ter2@proxy:3128", "ter2"),
    "a user alone": ("socks5h://s3cr3t@proxy", "s3cr3t"),
    "a proxy without a scheme": ("joe:hunter2@proxy.internal:3128 is down", "hunter2"),
    "a setting": ("SEGOPS_HMAC_SECRET=q9w8", "q9w8"),
}
HARMLESS = [
    "payload.pk_id: must be a finite number, got nan",
    "the outbox /var/lib/pk_kiosk2/sk_data/outbox.db cannot be read",
    "no session token in the answer",
    "the API key is not accepted (HTTP 401): Basic authentication failed",
    "payload.token: must be a string, got 5",
    "user_context_for('user:ann@example.com') is of user 'bob@example.com'",
    "5d7a19ef-b844-487c-9498-3ea0b0c586fa-1-10-10",
    "api_url must be https, got 'http://api.segops.ai:8080/x'",
    "event_type: must be a non-empty string, got ''",
    "UserContext(user_id_sig=None)",
]


@pytest.mark.parametrize(("text", "secret"), SECRETS.values(), ids=list(SECRETS))
def test_no_secret_is_left_in_an_error_however_it_is_shown(text: str, secret: str) -> None:
    error = SegOpsError(text, hint=text)
    for shown in (str(error), repr(error), error.message, error.hint, str(error.args)):
        assert secret not in shown
    again = pickle.loads(pickle.dumps(error))
    assert secret not in str(again)
    assert scrubbed(scrubbed(text)) == scrubbed(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    assert scrubbed(text) == text


def test_a_value_is_named_but_not_if_it_is_a_secret() -> None:
    key = "sk_live_0123456789"
    assert "got 'u 1'" in str(InvalidEventError("user_id", "must be an id", "u 1"))
    error = InvalidEventError("user_id", "must be an id", f"{key}\n")
    assert key not in str(error)
    assert error.value == f"{key}\n"
    long = InvalidEventError("payload", "is none", {"x" * n: "deadbeef" * 8 for n in range(9)})
    assert "deadbeef" not in str(long)


def test_a_context_is_shown_without_its_signature() -> None:
    context = UserContext(user_id="ann", user_id_sig="5hh", user_id_ts=1)
    assert "5hh" not in repr(context)
    assert "ann" in repr(context)


def test_a_traceback_shows_no_secret_of_what_led_to_an_error_and_all_its_frames() -> None:
    key = "sk_live_0123456789"

    def sign() -> None:
        try:
            dict[str, int]()[key]
        except KeyError as error:
            raise RuntimeError(f"no such key: {key}") from error

    with pytest.raises(RuntimeError) as caught:
        sign()
    outer = segops_durable.IdentityError("it failed")
    outer.__cause__ = without_secrets(caught.value)
    shown = "".join(traceback.format_exception(outer))
    assert "0123456789" not in shown
    assert "KeyError: 'sk_" in shown
    assert "builtins.RuntimeError" not in shown
    assert shown.count("in sign") == 2
    harmless = ValueError("no")
    assert without_secrets(harmless) is harmless


@pytest.mark.parametrize("piece", ["-", "sk_", "a:", "Bearer ", "://", "eyJ", "a@b:", "0a", "sig="])
def test_a_long_text_takes_no_long_time(piece: str) -> None:
    began = time.thread_time()  # of this thread alone: others may have the processor meanwhile
    scrubbed(piece * (100_000 // len(piece)))
    assert time.thread_time() - began < 5
