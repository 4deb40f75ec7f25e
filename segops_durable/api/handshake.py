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

from segops_durable.api.header_auth import HeaderAuth
from segops_durable.api.retry_after import http_date
from segops_durable.api.verdicts import Answer, Meaning, Verdict, judge_failure
from segops_durable.errors import IdentityError
from segops_durable.identity import name_of

if TYPE_CHECKING:
    from segops_durable.api.exchange import Exchange
    from segops_durable.identity import UserContext, Users
    from segops_durable.system.clock import Clock

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
        self._lock = threading.Lock()
        self._minting = threading.Lock()

    def authorise(self, identity: str) -> HeaderAuth | Verdict:
        """A valid token for that identity, or the verdict on the attempt to get one."""
        auth = self._cached(identity)
        if auth is not None:
            return auth
        with self._minting:  # or two threads would mint, and the limit of requests be met sooner
            return self._cached(identity) or self._mint(identity)

    def use_key(self, api_key: str) -> None:
        """Mint with this key from now on; tokens of the old one are forgotten."""
        self._auth = HeaderAuth("ApiKey", api_key)
        self.forget()

    def forget(self, identity: str | None = None) -> None:
        """Drop one identity's token, or all of them, so that the next use mints anew."""
        if identity is None:
            # no lock: a signal handler that sets a key may have interrupted the thread that holds
            # it, and would wait for itself; whoever mints just now keeps into the old ones
            self._tokens = OrderedDict()
            return
        with self._lock:
            others = self._tokens.copy()
            others.pop(identity, None)
            self._tokens = others

    def adopt(self, identity: str, answer: Answer) -> float | Verdict:
        """Use a token that somebody else has asked for; return the seconds that it lives.

        Args:
            identity: Whom it has to be for.
            answer: What SegOps has answered.
        """
        adopted = self._adopt(identity, answer, self._clock.uptime(), self._tokens)
        return adopted if isinstance(adopted, Verdict) else adopted[1]

    def _adopt(
        self,
        identity: str,
        answer: Answer,
        asked_at: float,
        tokens: OrderedDict[str, _Token],
    ) -> tuple[HeaderAuth, float] | Verdict:
        judged = _judge(identity, answer)
        if isinstance(judged, Verdict):
            return judged
        auth, lifetime = judged
        margin = min(REFRESH_SECONDS, lifetime / 2)
        self._keep(identity, _Token(auth, asked_at + lifetime - margin), tokens)
        return judged

    def _cached(self, identity: str) -> HeaderAuth | None:
        with self._lock:
            tokens = self._tokens
            token = tokens.get(identity)
            if token is None or self._clock.uptime() >= token.fresh_until:
                return None
            tokens.move_to_end(identity)
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
        tokens = self._tokens
        fields = {name: value for name, value in vars(context).items() if value is not None}
        asked_at = self._clock.uptime()
        answer = self._exchange.post(SESSION_PATH, json.dumps(fields).encode(), self._auth)
        if isinstance(answer, Verdict):
            return answer
        adopted = self._adopt(identity, answer, asked_at, tokens)
        return adopted if isinstance(adopted, Verdict) else adopted[0]

    def _keep(self, identity: str, token: _Token, tokens: OrderedDict[str, _Token]) -> None:
        """Keep a token among others; where those were forgotten meanwhile, it is so as well."""
        with self._lock:
            tokens[identity] = token
            tokens.move_to_end(identity)
            while len(tokens) > _MAX_TOKENS:
                tokens.popitem(last=False)


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
    if not isinstance(token, str) or not (token and token.isascii() and token.isprintable()):
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
