"""Sessions of public keys: SegOps' own while it can be reached, and the relay's word otherwise.

A caller always gets a token of the relay's, so that it is good here also when SegOps has gone, or
the relay was started anew. Whom SegOps has opened a session for is that user from then on. Whom
nobody could check is stored with what they claim, and sent as that user only once SegOps, or the
application's backend, has checked it.
"""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from segops_durable.api import Meaning, judge_failure
from segops_durable.errors.plain_text import visible
from segops_durable.events import is_unicode
from segops_durable.identity import UserContext, claimed_identity, identity_of
from segops_durable.relay.answers import RefusedError, detail
from segops_durable.relay.tokens import Session

if TYPE_CHECKING:
    from segops_durable.api import Answer
    from segops_durable.relay.client import RelayClient
    from segops_durable.relay.signing import Signer
    from segops_durable.relay.tokens import Tokens
    from segops_durable.relay.upstream import Upstream

LIFE_SECONDS = 900
"""Of a session (public documentation)."""

_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}")
_LONGEST_NAME = 1024
_FARTHEST = 1 << 40
_NOT_THEIRS = {401, 404, 405, 410, 413}
"""What is about the relay's own key, or its address: its callers can mend neither."""


class Sessions:
    """Opens sessions.

    Args:
        client: Whose events are stored by it.
        tokens: Makes tokens.
        upstream: Asks SegOps.
        signer: Remembers whom SegOps knows.
    """

    def __init__(
        self, client: RelayClient, tokens: Tokens, upstream: Upstream, signer: Signer
    ) -> None:
        self._client = client
        self._tokens = tokens
        self._upstream = upstream
        self._signer = signer

    async def open(self, document: dict[str, Any]) -> dict[str, Any]:
        """Open a session; return what is answered.

        Raises:
            RefusedError: SegOps would not have it.
        """
        context = _context_of(document)
        if not context.user_id and not context.anonymous_id:
            context.anonymous_id = await self._client.anonymous_id()
        answer = await self._upstream.ask(context)
        identity, lifetime = self._identity(context, answer)
        expires_at = int(time.time() + min(lifetime, LIFE_SECONDS))
        token = self._tokens.make(Session(identity, context.anonymous_id, expires_at))
        text = datetime.fromtimestamp(expires_at, timezone.utc).isoformat()
        return {"token": token, "expires_at": text, "uid": context.user_id or context.anonymous_id}

    def _identity(self, context: UserContext, answer: Answer | None) -> tuple[str, float]:
        """As whose events are stored, and how long the session lives."""
        known = identity_of(context, "")
        if answer is not None:
            lifetime = self._client.adopt(known, answer)
            if lifetime is not None:
                if context.user_id:
                    self._signer.note(context)
                return known, lifetime
            _pass_on(answer)
        if context.user_id and context.user_id_sig is not None:
            _check_form(context)
        return (claimed_identity(context) if context.user_id else known), LIFE_SECONDS


def _pass_on(answer: Answer) -> None:
    """Refuse as SegOps does, where it is about what was asked for."""
    verdict = judge_failure(answer)
    is_theirs = verdict.meaning in {Meaning.REFUSED, Meaning.CREDENTIALS}
    if answer.document is None or not is_theirs or answer.status in _NOT_THEIRS:
        return
    try:
        refused = RefusedError(answer.status, answer.document)
    except ValueError:  # half of a surrogate pair, or no number: it cannot be said again
        refused = detail(answer.status, visible(verdict.detail))
    raise refused


def _check_form(context: UserContext) -> None:
    is_signature = _SIGNATURE.fullmatch(context.user_id_sig or "") is not None
    if not is_signature or context.user_id_ts is None:
        raise detail(403, "Bad signature.")


def _context_of(document: dict[str, Any]) -> UserContext:
    """Who a session is asked for.

    Raises:
        RefusedError: It is of another form than SegOps asks for.
    """
    for name in ("user_id", "anonymous_id", "user_id_sig"):
        value = document.get(name)
        if value is not None and not _is_name(value):
            raise RefusedError(400, {name: ["This field must be a string."]})
    seconds = document.get("user_id_ts")
    if seconds is not None and (type(seconds) is not int or not 0 <= seconds < _FARTHEST):
        raise RefusedError(400, {"user_id_ts": ["This field must be Unix time in seconds."]})
    return UserContext(
        user_id=document.get("user_id") or None,
        anonymous_id=document.get("anonymous_id") or None,
        user_id_sig=document.get("user_id_sig"),
        user_id_ts=seconds,
    )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_NAME and is_unicode(value)
