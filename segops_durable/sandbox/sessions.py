"""Credentials: API keys, the session handshake, and its JSON Web Tokens."""

from __future__ import annotations

import hmac
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import jwt

if TYPE_CHECKING:
    from segops_durable.sandbox.settings import Settings

HMAC_SECRET = "5e" * 32
"""The HMAC secret, in hexadecimal, of every public key in the sandbox."""

_SIGNATURE_SECONDS = 300  # how far its time may be from ours (public documentation)
_JWT_SECRET = "the sandbox signs its tokens with this, and protects nothing"  # noqa: S105 - as it says
_ALGORITHM = "HS256"


class DeniedError(Exception):
    """A request is not allowed.

    Attributes:
        status: 401 or 403.
        detail: Why, in words.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True)
class Caller:
    """Who sends events.

    Attributes:
        uid: The user that the token rewrites every event to; None under a secret key.
    """

    uid: str | None


def authenticate(authorization: str, settings: Settings) -> Caller:
    """Check the Authorization header of an ingestion call.

    Raises:
        DeniedError: It does not allow that.
    """
    scheme, _, credential = authorization.partition(" ")
    if scheme == "Bearer":
        return Caller(_read_token(credential, settings))
    kind = _check_key(scheme, credential, settings)
    if kind != "sk":
        raise DeniedError(403, f"A {kind}_ key cannot ingest.")
    return Caller(None)


def open_session(authorization: str, body: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Exchange a public key for a token.

    Raises:
        DeniedError: The key or the signature does not allow that.
    """
    scheme, _, credential = authorization.partition(" ")
    if _check_key(scheme, credential, settings) != "pk":
        raise DeniedError(403, "Only a pk_ key opens a session.")
    user_id = body.get("user_id")
    if user_id:
        _check_signature(str(user_id), body, settings)
    uid = str(user_id or body.get("anonymous_id") or f"anonymous-{uuid.uuid4()}")
    expires = int(settings.now() + settings.token_seconds)
    token = jwt.encode(
        {"sub": uid, "exp": expires, "key": credential}, _JWT_SECRET, algorithm=_ALGORITHM
    )
    expires_at = datetime.fromtimestamp(expires, timezone.utc).isoformat()
    return {"token": token, "expires_at": expires_at, "uid": uid}


def _check_key(scheme: str, key: str, settings: Settings) -> str:
    kind, separator, rest = key.partition("_")
    if scheme != "ApiKey" or not separator or not rest or kind not in {"sk", "pk", "mk"}:
        raise DeniedError(401, "Invalid API key.")
    if key in settings.revoked_keys:
        raise DeniedError(401, "This API key was revoked.")
    return kind


def _read_token(token: str, settings: Settings) -> str:
    try:
        claims = jwt.decode(
            token, _JWT_SECRET, algorithms=[_ALGORITHM], options={"verify_exp": False}
        )
    except jwt.PyJWTError as error:
        raise DeniedError(401, f"Invalid session token: {error}.") from None
    if claims["exp"] <= settings.now():  # by the sandbox's clock, which may be set wrong
        raise DeniedError(401, "Invalid session token: it has expired.")
    if claims.get("key") in settings.revoked_keys:
        raise DeniedError(401, "This API key was revoked.")
    return str(claims["sub"])


def _check_signature(user_id: str, body: dict[str, Any], settings: Settings) -> None:
    signature, seconds = body.get("user_id_sig"), body.get("user_id_ts")
    if signature is None:
        if settings.require_signed:
            raise DeniedError(403, "A signed user_id is required.")
    elif not _is_signed(user_id, signature, seconds, settings.now()):
        limit = _SIGNATURE_SECONDS // 60
        raise DeniedError(403, f"Bad signature, or more than {limit} minutes from now.")


def _is_signed(user_id: str, signature: object, seconds: object, now: float) -> bool:
    """Whether it is the hex HMAC-SHA256 of ``user_id|seconds``, and of about now.

    Written anew on purpose: a mistake in the client's own would pass its own check.
    """
    if not isinstance(signature, str) or type(seconds) is not int:
        return False
    if not now - _SIGNATURE_SECONDS <= seconds <= now + _SIGNATURE_SECONDS:
        return False
    text = f"{user_id}|{seconds}".encode(errors="surrogatepass")
    expected = hmac.digest(bytes.fromhex(HMAC_SECRET), text, "sha256").hex()
    return hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))
