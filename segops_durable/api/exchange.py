"""One bounded HTTP exchange: a POST, and an answer that is capped in time and size.

What `requests` does for a browser is switched off for a machine: a redirect would turn the
POST into a GET whose 200 says nothing, ``~/.netrc`` would replace the API key, and
``REQUESTS_CA_BUNDLE`` a session's own CA.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from segops_durable.api.connecting import Dialler
from segops_durable.api.connection import Link
from segops_durable.api.deadline import Deadline
from segops_durable.api.handed_in import HandedInWay, is_unsent
from segops_durable.api.own_way import OwnWay
from segops_durable.api.progress import RequestProgress, WithdrawnError
from segops_durable.api.quiet import quiet
from segops_durable.api.trouble import libraries_words, sentence
from segops_durable.api.verdicts import Answer, Meaning, Verdict
from segops_durable.errors import SegOpsError
from segops_durable.errors.redaction import know_url, scrubbed
from segops_durable.system.hosts import is_loopback
from segops_durable.system.pulse import LATE_SECONDS, Pulse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

    from segops_durable.api.header_auth import HeaderAuth
    from segops_durable.api.pacing import Turns

_MAX_DETAIL = 300
_STEPS = 10
"""Of a request over a session that was handed in, each of which has the time."""
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # a packed answer may be a bomb
}


class Exchange:
    """POSTs JSON to one SegOps over a kept connection. For one thread at a time.

    Args:
        api_url: Where SegOps is.
        timeout: Seconds for all of a request. With a session that was handed in they hold
            for each step of it, and for the answer's body.
        user_agent: The ``User-Agent`` header.
        session: The session to use; None makes one that is closed with this.
        turns: When its requests may be made; None for at once.
        pulse: Told how long a request may take. Defaults to nobody.

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
        turns: Turns | None = None,
        pulse: Pulse | None = None,
    ) -> None:
        self._api_url = api_url
        self._timeout = timeout
        self._turns = turns
        self._pulse = pulse or Pulse()
        steps = 1 if session is None else _STEPS
        self._longest = timeout * steps + LATE_SECONDS
        self._progress = RequestProgress()
        self._dialler = Dialler()
        self._host = urlsplit(api_url).netloc
        link = Link(Deadline(), self._progress, self._dialler)
        has_proxy = not is_loopback(urlsplit(api_url).hostname or "")
        common = {**_HEADERS, "User-Agent": user_agent}
        self._way: OwnWay | HandedInWay = (
            OwnWay(link, timeout, common, has_proxy=has_proxy)
            if session is None
            else HandedInWay(session, link, api_url, timeout, common, has_proxy=has_proxy)
        )
        self.is_wanted: Callable[[], bool] = lambda: True

    def post(
        self,
        path: str,
        body: bytes,
        auth: HeaderAuth,
        headers: Mapping[str, str] | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Answer | Verdict:
        """POST a body; a `Verdict` instead of an `Answer` says why there was none.

        Args:
            path: Where to, behind the URL of SegOps.
            body: What is sent.
            auth: Who sends it.
            headers: What goes with it besides. Defaults to nothing.
            meanwhile: Called, over a connection that is open, while the answer is awaited. What
                it takes is not counted. Defaults to nothing.
        """
        if self._turns is not None and not self._turns.wait():
            detail = "stopped before the request was made"
            return Verdict(Meaning.UNREACHABLE, detail=detail, is_unsent=True)
        self._progress.start(self.is_wanted, meanwhile)
        try:
            with quiet(), self._pulse.silent_for(self._longest):
                answer = self._way.post(self._api_url + path, body, headers or {}, auth)
            self._dialler.praise()
            if self._turns is not None:
                self._turns.heed(answer)
        except WithdrawnError:
            return Verdict(Meaning.WITHDRAWN, is_unsent=True)
        except SegOpsError:
            raise
        except Exception as error:  # noqa: BLE001 - also what a session that was handed in raises
            self._dialler.blame()
            return self._failure(error)
        else:
            return answer
        finally:
            self._progress.has_left()

    def _failure(self, error: Exception) -> Verdict:
        """The verdict where there was no answer."""
        for proxy in self._way.proxies:  # it may show what it cannot read
            know_url(proxy)
        progress = self._progress
        return Verdict(
            Meaning.UNREACHABLE,
            detail=_cut(sentence(error, self._host, self._timeout)),
            chain=_cut(libraries_words(error)),
            is_unsent=not progress.has_begun if progress.is_tracked else is_unsent(error),
            is_cut=progress.is_tracked and not progress.is_whole,
        )

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone, as they are: another thread was using them.

        A session that was handed in gets pools of its own, as if it had been unpickled.
        """
        self._way.after_fork_in_child()

    def close(self) -> None:
        """Close the connections that this made; a session that was handed in stays open."""
        self._way.close()

    def wait_until_it_left(self) -> None:
        """Wait while a request that was let go has not left: later ones ask `is_wanted` anew."""
        self._progress.wait_until_it_left()


def _cut(text: str) -> str:
    return scrubbed(text[: 4 * _MAX_DETAIL])[:_MAX_DETAIL]
