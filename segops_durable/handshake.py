"""Session tokens for public keys: minted, cached and forgotten, one for each identity.

A server rewrites every event sent with a token to that token's user. So a token is used for
events of its own identity only, and only if the server says that it is for that user.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from segops_durable.errors import IdentityError
from segops_durable.exchange import HeaderAuth
from segops_durable.identity import name_of
from segops_durable.verdicts import Answer, Meaning, Verdict, http_date, judge_failure

if TYPE_CHECKING:
    from segops_durable.clock import Clock
    from segops_durable.events import UserContext
    from segops_durable.exchange import Exchange
    from segops_durable.users import Users

SESSION_PATH = "/api/auth/session/"
TOKEN_SECONDS = 900.0
"""How long a token lives (public documentation), where the server does not show its clock."""

REFRESH_SECONDS = 60.0
"""A token is minted anew so long before it expires, as the official SDKs do."""

_MAX_TOKENS = 64
_NOBODY_SIGNS = "nobody signs for that user now"


@dataclass(frozen=True)
class _Token:
    auth: HeaderAuth
    fresh_until: float  # by the clock that nobody sets: the time of day may be wrong


class Handshake:
    """Exchanges a public key for session tokens. Safe for use by many threads.

    Args:
        exchange: The way to SegOps.
        api_key: The public key (``pk_…``).
        users: Who signs for a user.
        clock: What the life of a token goes by.
    """

    def __init__(self, exchange: Exchange, api_key: str, users: Users, clock: Clock) -> None:
        self._exchange = exchange
        self._auth = HeaderAuth("ApiKey", api_key)
        self._users = users
        self._clock = clock
        self._tokens: OrderedDict[str, _Token] = OrderedDict()
        self._epoch = 0  # grows whenever tokens are forgotten
        self._lock = threading.RLock()  # a signal handler may forget them
        self._minting = threading.Lock()

    def authorise(self, identity: str) -> HeaderAuth | Verdict:
        """A valid token for that identity, or the verdict on the attempt to get one."""
        auth = self._cached(identity)
        if auth is not None:
            return auth
        with self._minting:  # whoever comes second finds what the first one got
            return self._cached(identity) or self._mint(identity)

    def use_key(self, api_key: str) -> None:
        """Mint with this key from now on; tokens of the old one are forgotten."""
        self._auth = HeaderAuth("ApiKey", api_key)
        self.forget()

    def forget(self, identity: str | None = None) -> None:
        """Drop one identity's token, or all of them, so that the next use mints anew."""
        with self._lock:
            self._epoch += 1
            if identity is None:
                self._tokens.clear()
            else:
                self._tokens.pop(identity, None)

    def _cached(self, identity: str) -> HeaderAuth | None:
        with self._lock:
            token = self._tokens.get(identity)
            if token is None or self._clock.uptime() >= token.fresh_until:
                return None
            self._tokens.move_to_end(identity)
            return token.auth

    def _mint(self, identity: str) -> HeaderAuth | Verdict:
        """Try what the application gives, until it is not the signature that is refused."""
        verdict = Verdict(Meaning.IDENTITY, detail=_NOBODY_SIGNS)
        try:
            for context in self._users.contexts_for(identity):
                outcome = self._open_session(identity, context)
                if isinstance(outcome, HeaderAuth) or outcome.meaning is not Meaning.IDENTITY:
                    return outcome
                verdict = outcome
        except IdentityError as error:
            if verdict.status is None:
                verdict = replace(verdict, detail=error.message)
        return verdict

    def _open_session(self, identity: str, context: UserContext) -> HeaderAuth | Verdict:
        epoch = self._epoch
        fields = {name: value for name, value in vars(context).items() if value is not None}
        asked_at = self._clock.uptime()
        answer = self._exchange.post(SESSION_PATH, json.dumps(fields).encode(), self._auth)
        if isinstance(answer, Verdict):
            return answer
        judged = _judge(identity, answer)
        if isinstance(judged, Verdict):
            return judged
        auth, lifetime = judged
        margin = min(REFRESH_SECONDS, lifetime / 2)
        self._keep(identity, _Token(auth, asked_at + lifetime - margin), epoch)
        return auth

    def _keep(self, identity: str, token: _Token, epoch: int) -> None:
        with self._lock:
            if epoch != self._epoch:  # forgotten while it was being minted
                return
            self._tokens[identity] = token
            self._tokens.move_to_end(identity)
            while len(self._tokens) > _MAX_TOKENS:
                self._tokens.popitem(last=False)


def _judge(identity: str, answer: Answer) -> tuple[HeaderAuth, float] | Verdict:
    """The token and the seconds that it lives, or what the answer means for this identity."""
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's own numbers
        verdict = judge_failure(answer)
        # but for a 401, which is about the key, these are about whom it was used for
        is_theirs = verdict.meaning in {Meaning.REFUSED, Meaning.TOO_LARGE}
        if is_theirs or (verdict.meaning is Meaning.CREDENTIALS and answer.status == 403):  # noqa: PLR2004 - HTTP's own number
            return replace(verdict, meaning=Meaning.IDENTITY)
        return verdict
    document = answer.document or {}
    token, uid = document.get("token"), document.get("uid")
    lifetime = _lifetime(document.get("expires_at"), answer.headers.get("Date"))
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        return Verdict(Meaning.NOT_SEGOPS, answer.status, "no session token in the answer")
    if lifetime is None:
        return Verdict(Meaning.NOT_SEGOPS, answer.status, "the session does not say its end")
    if uid != name_of(identity):
        return Verdict(Meaning.IDENTITY, answer.status, "the token is for another user")
    return HeaderAuth("Bearer", token), lifetime


def _lifetime(expires_at: object, server_date: str | None) -> float | None:
    """Seconds that a token lives, by the server's own clock: the device's may be wrong."""
    try:
        expires = datetime.fromisoformat(str(expires_at).replace("Z", "+00:00"))
    except ValueError:
        return None
    now = http_date(server_date)
    if now is None:
        return TOKEN_SECONDS
    return None if expires.tzinfo is None else max(0.0, (expires - now).total_seconds())
