"""The way over a session that was handed in: each request is the session's own, from its start.

It may have hooks, adapters, headers, or methods of its own, and see each request: so nothing of
what `requests` does with one is left out.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import requests
import requests.adapters
import urllib3

from segops_durable.api.addresses import Addresses
from segops_durable.api.response import read_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segops_durable.api.connection import Link
    from segops_durable.api.header_auth import HeaderAuth
    from segops_durable.api.verdicts import Answer


class HandedInWay:
    """POSTs with a session. For one thread at a time.

    Args:
        session: The session; it stays open.
        link: What its requests go by.
        url: Where SegOps is.
        timeout: Seconds for each step of a request, and for the answer's body.
        headers: What is sent with every request.
        has_proxy: Whether a proxy of the environment may lead there: not to this machine itself.
    """

    def __init__(
        self,
        session: requests.Session,
        link: Link,
        url: str,
        timeout: float,
        headers: Mapping[str, str],
        *,
        has_proxy: bool,
    ) -> None:
        self._session = session
        self._link = link
        self._addresses = Addresses(url)
        self._timeout = timeout
        self._headers = headers
        self._has_proxy = has_proxy

    @property
    def proxies(self) -> list[str]:
        """The URLs of the session's own proxies."""
        return list(dict(self._session.proxies).values())

    def post(self, url: str, body: bytes, headers: Mapping[str, str], auth: HeaderAuth) -> Answer:
        """POST a body, and read the answer.

        Raises:
            Exception: Whatever the session raises.
        """
        deadline = self._link.deadline
        answers: list[Answer] = []

        def read(response: requests.Response, *_args: object, **_kwargs: object) -> None:
            deadline.start(self._timeout)  # each step has it; to connect may have taken one
            answers.append(read_answer(response, deadline.check))

        self._link.progress.begin()
        with self._session.post(
            url,
            data=body,
            headers={**self._headers, **headers},
            auth=auth,
            timeout=self._timeouts(),
            allow_redirects=False,
            stream=True,
            verify=None if self._session.verify is True else self._session.verify,
            proxies=self._proxies(),
            # before `requests` itself reads, for a redirect, all that comes
            hooks={"response": [read, *self._session.hooks.get("response", ())]},
        ) as response:
            if not answers:  # a session of another kind, that calls no hooks
                read(response)
        return answers[-1]

    def after_fork_in_child(self) -> None:
        """Give the session pools of its own, as if it had been unpickled."""
        for adapter in set(self._session.adapters.values()):
            if isinstance(adapter, requests.adapters.HTTPAdapter):
                adapter.__setstate__(adapter.__getstate__())  # type: ignore[attr-defined]  # as pickle does

    def close(self) -> None:
        """Leave the session open: it is the program's."""

    def _proxies(self) -> dict[str, Any] | None:
        """None for what the environment says."""
        if self._has_proxy:
            return None
        return {each: self._session.proxies.get(each) for each in ("http", "https", "all")}

    def _timeouts(self) -> tuple[float, float]:
        """What `requests` is told: it tries one address after another."""
        asks = self._session.trust_env and self._has_proxy
        count = self._addresses.count(self._session.proxies, asks_environment=asks)
        return self._timeout / count, self._timeout


def is_unsent(error: Exception) -> bool:
    """Whether there was no connection to send anything over, or no trust in its other end.

    Args:
        error: What `requests` raised.
    """
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    if isinstance(reason, urllib3.exceptions.ProxyError):
        # urllib3 says so as well when a proxy hangs up on a request that it has taken
        reason = reason.original_error
        if str(reason).startswith("Tunnel connection failed"):
            return True
    if isinstance(reason, urllib3.exceptions.SSLError):
        return any(isinstance(each, ssl.SSLCertVerificationError) for each in reason.args)
    return isinstance(
        reason,
        urllib3.exceptions.NewConnectionError  # also of a host that has no address
        | urllib3.exceptions.ConnectTimeoutError,
    )
