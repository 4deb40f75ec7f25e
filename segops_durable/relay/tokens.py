"""Session tokens of the relay's own: whom one is for, and until when, signed with its secret.

They outlive a restart: the secret is kept in a private file beside the outbox.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segops_durable.errors import StorageError
from segops_durable.system.private_files import make_private, open_private, sync_directory

if TYPE_CHECKING:
    from pathlib import Path

_PREFIX = "relay"
_SECRET_BYTES = 32


@dataclass(frozen=True)
class Session:
    """Whom a token is for.

    Attributes:
        identity: As whose events are stored.
        anonymous_id: The visitor's id that goes with their events; None for none.
        expires_at: Unix time in seconds.
    """

    identity: str
    anonymous_id: str | None
    expires_at: int


class Tokens:
    """Makes and reads tokens.

    Args:
        secret: What they are signed with.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, session: Session) -> str:
        """The token of a session."""
        fields = [session.identity, session.anonymous_id, session.expires_at]
        text = _base64(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode())
        return f"{_PREFIX}.{text}.{self._signature(text)}"

    def read(self, token: str) -> Session | None:
        """The session of a token, over or not; None if the token is not of this relay."""
        prefix, _, rest = token.partition(".")
        text, _, signature = rest.partition(".")
        is_ours = hmac.compare_digest(
            self._signature(text).encode(), signature.encode(errors="replace")
        )
        if prefix != _PREFIX or not is_ours:
            return None
        try:
            fields: list[Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (ValueError, binascii.Error):
            return None
        return Session(*fields)

    def _signature(self, text: str) -> str:
        return _base64(hmac.digest(self._secret, text.encode(errors="replace"), "sha256"))


def secret_beside(outbox: Path) -> bytes:
    """The secret of the relay of an outbox; made at the first time, in a private file.

    Raises:
        StorageError: What is there is no file of ours, or is too short to be a secret.
        OSError: It cannot be read or made.
    """
    path = outbox.with_name(outbox.name + ".relay")
    try:
        fd = make_private(path, like=outbox)
    except FileExistsError:
        fd = open_private(path, like=outbox)
    with os.fdopen(fd, "r+b") as file:
        found = file.read(_SECRET_BYTES + 1)
        if not found:  # made just now; or a power cut came before it was written
            found = secrets.token_bytes(_SECRET_BYTES)
            file.write(found)
            file.flush()
            os.fsync(fd)
            sync_directory(path.parent)
    if len(found) != _SECRET_BYTES:
        hint = "Remove it: the relay makes another, and asks its callers for new sessions"
        raise StorageError(f"{path} has no secret of a relay", path=str(path), hint=hint)
    return found


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
