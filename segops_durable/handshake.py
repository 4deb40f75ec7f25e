"""Session tokens for public keys: minted, cached and forgotten, one for each identity.

A server rewrites every event sent with a token to that token's user. So the identity is
taken when an event is tracked, is stored with it, and has to be the token's when it is sent.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from segops_durable.events import UserContext
from segops_durable.exchange import HeaderAuth
from segops_durable.verdicts import Answer, Meaning, Verdict, judge_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.exchange import Exchange

SESSION_PATH = "/api/auth/session/"
REFRESH_SECONDS = 60.0
"""A token is minted anew so long before it expires, as the official SDKs do."""

_MAX_TOKENS = 64
_USER, _VISITOR = "user:", "visitor:"


def identity_of(context: UserContext, anonymous_id: str) -> str:
    """The identity that events of this context belong to.

    Args:
        context: Who is using the device; an empty one is a visitor.
        anonymous_id: The visitor's id where the context has none.
    """
    if context.user_id:
        return _USER + context.user_id
    return _VISITOR + (context.anonymous_id or anonymous_id)


@dataclass(frozen=True)
class _Token:
    auth: HeaderAuth
    expires: float  # on the monotonic clock: the wall clock of a device may be wrong


class Handshake:
    """Exchanges a public key for session tokens.

    Args:
        exchange: The way to SegOps.
        api_key: The public key (``pk_…``).
        get_user: Says who is using the device now; None for a visitor.
    """

    def __init__(
        self, exchange: Exchange, api_key: str, get_user: Callable[[], UserContext] | None
    ) -> None:
        self._exchange = exchange
        self._auth = HeaderAuth("ApiKey", api_key)
        self._get_user = get_user
        self._tokens: OrderedDict[str, _Token] = OrderedDict()
        self._lock = threading.Lock()

    def authorise(self, identity: str) -> HeaderAuth | Verdict:
        """A valid token for that identity, or the verdict on the attempt to get one."""
        with self._lock:
            token = self._tokens.get(identity)
        if token is not None and time.monotonic() < token.expires - REFRESH_SECONDS:
            return token.auth
        try:
            context = self._context_for(identity)
        except Exception as error:  # noqa: BLE001 - the user's code may raise anything
            return Verdict(Meaning.IDENTITY, detail=f"get_user() raised {type(error).__name__}")
        if context is None:
            return Verdict(Meaning.IDENTITY, detail="get_user() does not name that user now")
        return self._mint(identity, context)

    def use_key(self, api_key: str) -> None:
        """Mint with this key from now on; tokens of the old one are forgotten."""
        self._auth = HeaderAuth("ApiKey", api_key)
        self.forget()

    def forget(self, identity: str | None = None) -> None:
        """Drop one identity's token, or all of them, so that the next use mints anew."""
        with self._lock:
            if identity is None:
                self._tokens.clear()
            else:
                self._tokens.pop(identity, None)

    def _context_for(self, identity: str) -> UserContext | None:
        if identity.startswith(_VISITOR):
            return UserContext(anonymous_id=identity.removeprefix(_VISITOR))
        context = self._get_user() if self._get_user is not None else None
        if context is None or not context.user_id:
            return None
        return context if _USER + context.user_id == identity else None

    def _mint(self, identity: str, context: UserContext) -> HeaderAuth | Verdict:
        fields = {name: value for name, value in vars(context).items() if value is not None}
        answer = self._exchange.post(SESSION_PATH, json.dumps(fields).encode(), self._auth)
        if isinstance(answer, Verdict):
            return answer
        return self._judge(identity, answer)

    def _judge(self, identity: str, answer: Answer) -> HeaderAuth | Verdict:
        if not 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's own numbers
            return judge_failure(answer)
        document = answer.document or {}
        token, uid = document.get("token"), document.get("uid")
        lifetime = _lifetime(document.get("expires_at"), answer.headers.get("Date"))
        if not isinstance(token, str) or not token.isascii() or lifetime is None:
            return Verdict(Meaning.NOT_SEGOPS, answer.status, "no session token in the answer")
        if uid != identity.partition(":")[2]:
            return Verdict(Meaning.IDENTITY, answer.status, "the token is for another user")
        auth = HeaderAuth("Bearer", token)
        with self._lock:
            self._tokens[identity] = _Token(auth, time.monotonic() + lifetime)
            self._tokens.move_to_end(identity)
            while len(self._tokens) > _MAX_TOKENS:
                self._tokens.popitem(last=False)
        return auth


def _lifetime(expires_at: object, server_date: str | None) -> float | None:
    """Seconds that a token lives, by the server's clock where it says what that shows."""
    try:
        expires = datetime.fromisoformat(str(expires_at).replace("Z", "+00:00"))
        now = parsedate_to_datetime(server_date) if server_date else datetime.now(timezone.utc)
        return (expires - now).total_seconds()
    except (TypeError, ValueError):
        return None
