"""One bounded HTTP exchange: a POST, and an answer that is capped in time and size.

What `requests` does for a browser is switched off for a machine: a redirect would turn the
POST into a GET whose 200 says nothing, ``~/.netrc`` would replace the API key, and
``REQUESTS_CA_BUNDLE`` a session's own CA.
"""

from __future__ import annotations

import ssl
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import AuthBase

from segops_durable.api.addresses import Addresses
from segops_durable.api.connecting import Dialler
from segops_durable.api.connection import DeadlineAdapter, Link
from segops_durable.api.deadline import Deadline
from segops_durable.api.progress import RequestProgress, WithdrawnError
from segops_durable.api.quiet import quiet
from segops_durable.api.response import read_answer
from segops_durable.api.trouble import libraries_words, sentence
from segops_durable.api.verdicts import Answer, Meaning, Verdict
from segops_durable.errors import SegOpsError
from segops_durable.errors.redaction import know_url, scrubbed
from segops_durable.system.hosts import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAX_DETAIL = 300


class HeaderAuth(AuthBase):
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

    Attributes:
        is_wanted: Asked at the last instant before a request leaves whether it still may.
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
        self._progress = RequestProgress()
        self._dialler = Dialler()
        self._owned = session is None
        self._session = self._new_session() if session is None else session
        self._host = urlsplit(api_url).netloc
        self._is_loopback = is_loopback(urlsplit(api_url).hostname or "")
        self._addresses = Addresses(api_url)
        self.is_wanted: Callable[[], bool] = lambda: True

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
        self._progress.start(self.is_wanted)
        try:
            with quiet():
                return self._post(self._api_url + path, body, auth, headers or {})
        except WithdrawnError:
            return Verdict(Meaning.WITHDRAWN, is_unsent=True)
        except SegOpsError:
            raise
        except Exception as error:  # noqa: BLE001 - also what a session that was handed in raises
            self._dialler.blame()
            return self._failure(error)
        finally:
            self._progress.has_left()

    def _post(self, url: str, body: bytes, auth: HeaderAuth, headers: Mapping[str, str]) -> Answer:
        self._deadline.start(self._timeout)
        answers: list[Answer] = []

        def read(response: requests.Response, *_args: object, **_kwargs: object) -> None:
            if not self._owned:  # each step has the timeout; to connect may have taken one
                self._deadline.start(self._timeout)
            answers.append(read_answer(response, self._deadline.check))

        if not self._owned:
            self._progress.begin()
        with self._session.post(
            url,
            data=body,
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # a packed answer may be a bomb
                "User-Agent": self._user_agent,
                **headers,
            },
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
        self._dialler.praise()
        return answers[-1]

    def _failure(self, error: Exception) -> Verdict:
        """The verdict where there was no answer."""
        for proxy in dict(self._session.proxies).values():  # it may show what it cannot read
            know_url(proxy)
        progress = self._progress
        is_unsent = not progress.has_begun if progress.is_tracked else _is_unsent(error)
        return Verdict(
            Meaning.UNREACHABLE,
            detail=_cut(sentence(error, self._host, self._timeout)),
            chain=_cut(libraries_words(error)),
            is_unsent=is_unsent,
            is_cut=progress.is_tracked and not progress.is_whole,
        )

    def _proxies(self) -> dict[str, Any] | None:
        """None for what the environment says; to this machine itself no proxy leads."""
        if not self._is_loopback:
            return None
        return {each: self._session.proxies.get(each) for each in ("http", "https", "all")}

    def _timeouts(self) -> float | tuple[float, float]:
        """What `requests` is told: a session that was handed in tries one address after another."""
        if self._owned:
            return self._timeout
        asks = self._session.trust_env and not self._is_loopback
        count = self._addresses.count(self._session.proxies, asks_environment=asks)
        return self._timeout / count, self._timeout

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone, as they are: another thread was using them.

        A session that was handed in gets pools of its own, as if it had been unpickled.
        """
        if not self._owned:
            for adapter in set(self._session.adapters.values()):
                if isinstance(adapter, requests.adapters.HTTPAdapter):
                    adapter.__setstate__(adapter.__getstate__())  # type: ignore[attr-defined]  # as pickle does

    def close(self) -> None:
        """Close the connections that this made; a session that was handed in stays open."""
        if self._owned:
            self._session.close()

    def wait_until_it_left(self) -> None:
        """Wait while a request that was let go has not left: later ones ask `is_wanted` anew."""
        self._progress.wait_until_it_left()

    def _new_session(self) -> requests.Session:
        session = _Session()
        link = Link(self._deadline, self._progress, self._dialler)
        # a portal's cookies would stick
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            session.mount(scheme, DeadlineAdapter(link))
        return session


def _cut(text: str) -> str:
    return scrubbed(text[: 4 * _MAX_DETAIL])[:_MAX_DETAIL]


def _is_unsent(error: Exception) -> bool:
    """Whether there was no connection to send anything over, or no trust in its other end."""
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


class _Session(requests.Session):
    """Follows no redirect, and does not read one's body to look for where it leads."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Leave a redirect alone."""
