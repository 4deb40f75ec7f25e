"""Signing a user id on your backend, so that a public key can prove who is logged in."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TypedDict, TypeGuard

from segops_durable.errors import ConfigurationError
from segops_durable.errors.plain_text import shown
from segops_durable.events import is_unicode

SIGNATURE_SECONDS = 300
"""How far a signature's time may be from SegOps' clock (public documentation)."""

_NEVER = 1 << 62


class SignedUserId(TypedDict):
    """What `sign_user_id` returns; pass its fields on to `UserContext`."""

    user_id: str
    user_id_sig: str
    user_id_ts: int


def sign_user_id(secret_hex: str, user_id: str, ts: int | None = None) -> SignedUserId:
    """Sign a user id with a public key's HMAC secret.

    Call it on a backend only: whoever holds the secret can speak for every user.
    The scheme is the public SegOps documentation's: hex HMAC-SHA256 over
    ``"{user_id}|{unix_seconds}"``. SegOps refuses a signature more than 5 minutes old.

    Args:
        secret_hex: The key's HMAC secret, in hexadecimal, as shown at the key's creation.
        user_id: Who is logged in.
        ts: Unix time in seconds. Defaults to now.

    Returns:
        ``user_id``, ``user_id_sig`` and ``user_id_ts``, ready for a `UserContext`.

    Raises:
        ConfigurationError: The secret is not hexadecimal, which the message does not repeat;
            the user id is no text, or the time no integer.
    """
    seconds = int(time.time()) if ts is None else ts
    if not _is_name(user_id):
        problem = f"user_id must be a text that can be encoded, got {shown(user_id)}"
        raise ConfigurationError(problem, field="user_id")
    if not _is_second(seconds):
        problem = f"ts must be Unix time in whole seconds, got {shown(seconds)}"
        raise ConfigurationError(problem, field="ts")
    digest = _signature(secret_hex, user_id, seconds)
    return {"user_id": user_id, "user_id_sig": digest, "user_id_ts": seconds}


def verify_user_id(
    secret_hex: str,
    user_id: str,
    user_id_sig: object,
    user_id_ts: object,
    *,
    now: float | None = None,
) -> bool:
    """Check a signature as SegOps does; for tests, and for backends of your own.

    The comparison takes the same time wherever the signatures differ. What came over a
    network may be of any type; what is no signature is not a right one.

    Args:
        secret_hex: The key's HMAC secret, in hexadecimal.
        user_id: Who is said to be logged in.
        user_id_sig: The signature.
        user_id_ts: The Unix time in seconds that belongs to it.
        now: Unix time in seconds to compare with. Defaults to this machine's clock.

    Returns:
        Whether it is the signature of that user at that time, and not more than 5 minutes
        old, or of the future.

    Raises:
        ConfigurationError: The secret is not hexadecimal. The message does not repeat it.
    """
    if not isinstance(user_id_sig, str) or not _is_second(user_id_ts) or not _is_name(user_id):
        _signature(secret_hex, "", 0)  # a wrong secret is always told of
        return False
    expected = _signature(secret_hex, user_id, user_id_ts)
    seconds = int(time.time() if now is None else now)
    is_right = hmac.compare_digest(expected.encode(), user_id_sig.encode(errors="replace"))
    return is_right and abs(seconds - user_id_ts) <= SIGNATURE_SECONDS


def _is_name(value: object) -> bool:
    return isinstance(value, str) and is_unicode(value)


def _is_second(value: object) -> TypeGuard[int]:
    """Whether it is a time; an integer of thousands of digits cannot even be written down."""
    return type(value) is int and abs(value) < _NEVER


def _signature(secret_hex: str, user_id: str, seconds: int) -> str:
    try:
        secret = bytes.fromhex(secret_hex)
    except (TypeError, ValueError):
        raise ConfigurationError(
            "secret_hex must be hexadecimal", field="secret_hex", hint="Copy the key's HMAC secret"
        ) from None
    if not secret:
        raise ConfigurationError("secret_hex must not be empty", field="secret_hex")
    return hmac.new(secret, f"{user_id}|{seconds}".encode(), hashlib.sha256).hexdigest()
