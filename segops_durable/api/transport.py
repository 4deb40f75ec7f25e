"""Sends one batch, once, and judges the answer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from segops_durable.api.header_auth import HeaderAuth
from segops_durable.api.verdicts import Meaning, Verdict, judge_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.api.exchange import Exchange
    from segops_durable.api.handshake import Handshake
    from segops_durable.api.observing import Watch
    from segops_durable.api.sendable import Sendable

BATCH_PATH = "/api/ingestion/track/batch/"


class Transport:
    """The way of a batch to SegOps. For one thread at a time.

    Args:
        exchange: The way to SegOps.
        api_key: The secret key; for a public one give a `handshake`.
        handshake: Where tokens come from, under a public key.
        is_whole: Says whether a batch still is what is on disk; asked before each request.

    Attributes:
        meanwhile: Called while an answer is awaited; it must not raise.
        watch: Measures each request; None for nobody.
        viewer: Shows each request to somebody who looks now; None for nobody.
    """

    def __init__(
        self,
        exchange: Exchange,
        api_key: str,
        handshake: Handshake | None,
        is_whole: Callable[[Any], bool],
    ) -> None:
        self.watch: Watch | None = None
        self.viewer: Watch | None = None
        self._is_whole = is_whole
        self._exchange = exchange
        self._auth = HeaderAuth("ApiKey", api_key)
        self._handshake = handshake
        self.meanwhile: Callable[[], object] = lambda: None

    def use_key(self, api_key: str) -> None:
        """Send with this key from now on, in place of the old one of the same kind."""
        self._auth = HeaderAuth("ApiKey", api_key)
        if self._handshake is not None:
            self._handshake.use_key(api_key)

    def send(self, batch: Sendable) -> Verdict:
        """POST a batch and judge the answer. Never raises for what a network can do.

        After a 401 a token is minted anew, once: it may have been revoked. If that does not
        help, or is forbidden, it is this user's affair; the key itself was accepted. Once
        something of the batch was erased no further request names anybody who is in it.
        """
        send: Callable[[Sendable], Verdict] = self._send
        for each in (self.watch, self.viewer):
            if each is not None:
                send = partial(each.send, send=send)
        return send(batch)

    def _send(self, batch: Sendable) -> Verdict:
        self._exchange.is_wanted = lambda: self._is_whole(batch)
        if self._handshake is None:
            return self._post(batch, self._auth)
        verdict = self._send_with_token(batch, self._handshake)
        if _is_refused_token(verdict) and verdict.status == 401:  # noqa: PLR2004 - HTTP's own number
            verdict = self._send_with_token(batch, self._handshake)
        if _is_refused_token(verdict):
            return replace(verdict, meaning=Meaning.IDENTITY)
        return verdict

    def _send_with_token(self, batch: Sendable, handshake: Handshake) -> Verdict:
        auth = handshake.authorise(batch.sent_as)
        if isinstance(auth, Verdict):
            return replace(auth, is_unsent=True)
        verdict = self._post(batch, auth)
        if _is_refused_token(verdict):
            handshake.forget(batch.sent_as)
        return verdict

    def _post(self, batch: Sendable, auth: HeaderAuth) -> Verdict:
        answer = self._exchange.post(
            BATCH_PATH,
            batch.body,
            auth,
            headers={"Idempotency-Key": batch.key},
            meanwhile=self.meanwhile,
        )
        if isinstance(answer, Verdict):
            return answer
        return judge_batch(answer, len(batch.rows))


def _is_refused_token(verdict: Verdict) -> bool:
    """Whether a batch was sent and its token not accepted; not, whether there was no token."""
    return verdict.meaning is Meaning.CREDENTIALS and not verdict.is_unsent
