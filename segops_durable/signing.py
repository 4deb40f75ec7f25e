"""Signing a user id on your backend, so that a public key can prove who is logged in."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TypedDict

from segops_durable.errors import ConfigurationError


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
        ConfigurationError: The secret is not hexadecimal. The message does not repeat it.
    """
    try:
        secret = bytes.fromhex(secret_hex)
    except ValueError:
        raise ConfigurationError(
            "secret_hex must be hexadecimal", field="secret_hex", hint="Copy the key's HMAC secret."
        ) from None
    seconds = int(time.time()) if ts is None else ts
    digest = hmac.new(secret, f"{user_id}|{seconds}".encode(), hashlib.sha256).hexdigest()
    return {"user_id": user_id, "user_id_sig": digest, "user_id_ts": seconds}
