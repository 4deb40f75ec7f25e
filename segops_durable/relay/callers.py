"""Who calls: by the key, or the session token, that a request has."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, NamedTuple

from starlette.datastructures import QueryParams

from segops_durable.identity import NO_IDENTITY, name_of
from segops_durable.relay.answers import detail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segops_durable.relay.client import RelayClient
    from segops_durable.relay.tokens import Tokens

_KINDS = ("sk", "pk", "mk")


class Caller(NamedTuple):
    """Who sends events.

    Attributes:
        identity: As whose they are stored.
        anonymous_id: The visitor's id that goes with them; None for none.
    """

    identity: str = NO_IDENTITY
    anonymous_id: str | None = None

    @property
    def name(self) -> str:
        """Whose requests are one caller's, also after its session was opened anew."""
        return name_of(self.identity)


class Callers:
    """Checks credentials.

    Args:
        client: Has the relay's own key.
        tokens: Reads those of sessions.
        trust_local: Whether programs of this machine need none.
    """

    def __init__(self, client: RelayClient, tokens: Tokens, *, trust_local: bool) -> None:
        self._client = client
        self._tokens = tokens
        self._trust_local = trust_local

    def who(self, head: Mapping[str, str], query: bytes, *, is_local: bool) -> Caller:
        """Who sends events.

        Args:
            head: The headers of the request.
            query: Its query: `sendBeacon` can set no header, and has the token there.
            is_local: Whether it is from this machine.

        Raises:
            RefusedError: They may not.
        """
        given = head.get("authorization", "")
        if query and not given:
            token = QueryParams(query).get("token")
            given = "" if token is None else f"Bearer {token}"
        scheme, _, credential = given.partition(" ")
        if scheme.lower() == "bearer":
            return self._holder(credential.strip())
        kind = self._kind(given, is_local=is_local)
        if kind != "sk":
            raise detail(403, f"A {kind}_ key cannot ingest.")
        if self._is_public:
            raise detail(403, "This relay sends with a public key: open a session with one.")
        return Caller()

    def check_public(self, head: Mapping[str, str], *, is_local: bool) -> None:
        """See that whoever asks for a session may.

        Raises:
            RefusedError: They may not.
        """
        if self._kind(head.get("authorization", ""), is_local=is_local) != "pk":
            raise detail(403, "Only a pk_ key opens a session.")
        if not self._is_public:
            raise detail(403, "This relay sends with a secret key, and has no sessions.")

    @property
    def _is_public(self) -> bool:
        return self._client.options.has_public_key

    def _kind(self, authorization: str, *, is_local: bool) -> str:
        """The kind of a key that is good here."""
        is_trusted = is_local and self._trust_local
        own = self._client.options.api_key
        scheme, _, key = authorization.partition(" ")
        if not authorization and is_trusted:
            return own[:2]
        kind, separator, rest = key.strip().partition("_")
        if scheme.lower() != "apikey" or kind not in _KINDS or not (separator and rest):
            raise detail(401, "Invalid API key.", {"WWW-Authenticate": "ApiKey"})
        given = key.strip().encode(errors="replace")
        is_own = any(hmac.compare_digest(given, each.encode()) for each in self._client.keys)
        # of another kind than the relay's it can be no own one; what it is told is why
        if kind == own[:2] and not is_own and not is_trusted:
            raise detail(401, "Invalid API key: it is not that of this relay.")
        return kind

    def _holder(self, token: str) -> Caller:
        session = self._tokens.read(token)
        if session is None or not self._is_public:
            raise detail(401, "Invalid session token: it is not of this relay.")
        if session.expires_at <= time.time():
            raise detail(401, "Invalid session token: it has expired.")
        return Caller(session.identity, session.anonymous_id)
