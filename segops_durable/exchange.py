"""One bounded HTTP exchange: a POST, and an answer that is capped in time and size.

What `requests` does for a browser is switched off for a machine: a redirect would turn the
POST into a GET whose 200 says nothing, ``~/.netrc`` would replace the API key, and
``REQUESTS_CA_BUNDLE`` a session's own CA.
"""

from __future__ import annotations

import ssl
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING

import requests
import urllib3

from segops_durable.deadline import Deadline, DeadlineAdapter
from segops_durable.verdicts import Answer, Meaning, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_ANSWER_BYTES = 64 * 1024
_MAX_DETAIL = 300


class HeaderAuth(requests.auth.AuthBase):
    """Sets the Authorization header last, where ``~/.netrc`` can no longer replace it."""

    def __init__(self, scheme: str, credential: str) -> None:
        self._value = f"{scheme} {credential}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Authorise a request that is ready to be sent."""
        request.headers["Authorization"] = self._value
        return request

    def __repr__(self) -> str:
        return "HeaderAuth(…)"


class Exchange:
    """POSTs JSON to one SegOps over a kept connection. For one thread at a time.

    Args:
        api_url: Where SegOps is.
        timeout: Seconds for all of a request. With a session that was handed in they hold
            for each step of it, and for the answer's body.
        user_agent: The ``User-Agent`` header.
        session: The session to use; None makes one that is closed with this.
        wait_for_turn: Called before each request; False means that none is to be made.
    """

    def __init__(
        self,
        api_url: str,
        *,
        timeout: float,
        user_agent: str,
        session: requests.Session | None = None,
        wait_for_turn: Callable[[], bool] = lambda: True,
    ) -> None:
        self._api_url = api_url
        self._timeout = timeout
        self._user_agent = user_agent
        self._wait_for_turn = wait_for_turn
        self._deadline = Deadline()
        self._owned = session is None
        self._session = _new_session(self._deadline) if session is None else session

    def post(
        self,
        path: str,
        body: bytes,
        auth: HeaderAuth,
        headers: Mapping[str, str] | None = None,
    ) -> Answer | Verdict:
        """POST a body; a `Verdict` instead of an `Answer` says why there was none."""
        if not self._wait_for_turn():
            detail = "stopped before the request was made"
            return Verdict(Meaning.UNREACHABLE, detail=detail, is_unsent=True)
        self._deadline.start(self._timeout)
        try:
            with self._session.post(
                self._api_url + path,
                data=body,
                headers={
                    "Content-Type": "application/json",
                    "Accept": "application/json",
                    "User-Agent": self._user_agent,
                    **(headers or {}),
                },
                auth=auth,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
                verify=None if self._session.verify is True else self._session.verify,
            ) as response:
                found = self._read(response)
                return Answer(response.status_code, response.headers, found)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # OSError: a CA bundle that is not there
            detail = f"{type(error).__name__}: {error}"[:_MAX_DETAIL]
            return Verdict(Meaning.UNREACHABLE, detail=detail, is_unsent=_is_unsent(error))

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone, as they are: another thread was using them.

        A session that was handed in gets pools of its own, as if it had been unpickled.
        """
        if not self._owned:
            for adapter in set(self._session.adapters.values()):
                if isinstance(adapter, requests.adapters.HTTPAdapter):
                    adapter.__setstate__(adapter.__getstate__())  # type: ignore[attr-defined]  # as pickle does

    def _read(self, response: requests.Response) -> bytes | None:
        """Read the body byte by byte: a larger read would wait for as much to come."""
        body = bytearray()
        for byte in response.iter_content(chunk_size=1):
            body += byte
            if len(body) > MAX_ANSWER_BYTES:
                return None
            self._deadline.check()
        return bytes(body)

    def close(self) -> None:
        """Close the connections that this made; a session that was handed in stays open."""
        if self._owned:
            self._session.close()


def _is_unsent(error: Exception) -> bool:
    """Whether there was no connection to send anything over, or no trust in its other end."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    if isinstance(reason, urllib3.exceptions.SSLError):
        return any(isinstance(each, ssl.SSLCertVerificationError) for each in reason.args)
    return isinstance(
        reason,
        urllib3.exceptions.NewConnectionError  # also of a host that has no address
        | urllib3.exceptions.ConnectTimeoutError
        | urllib3.exceptions.ProxyError,
    )


def _new_session(deadline: Deadline) -> requests.Session:
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # a portal's would stick
    for scheme in ("https://", "http://"):
        session.mount(scheme, DeadlineAdapter(deadline))
    return session
