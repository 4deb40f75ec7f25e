"""The way over connections of our own: `requests` opens one, and over it we ask again ourselves.

For each request anew `requests` reads the environment for proxies and CAs, and builds all of it
from the ground: over loopback that is four fifths of what a request costs. Here the environment
is read once a minute, and after every request that failed; a request is prepared once; and over
a connection that is open it is written as the bytes that it is.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import requests.utils
from urllib3.util.connection import is_connection_dropped

from segops_durable.api.connection import Connection, DeadlineAdapter
from segops_durable.api.response import read_answer, read_wire, whole_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segops_durable.api.connection import Link
    from segops_durable.api.header_auth import HeaderAuth
    from segops_durable.api.verdicts import Answer

KNOWN_SECONDS = 60.0
"""How long a connection may go by what the environment said of proxies and CAs."""

_OF_EACH = {"authorization", "content-length"}


class OwnWay:
    """POSTs over a connection that it keeps. For one thread at a time; `close` for any.

    Args:
        link: What its connections go by.
        timeout: Seconds for all of a request.
        headers: What is sent with every request.
        has_proxy: Whether a proxy may lead there: not to this machine itself.
    """

    def __init__(
        self, link: Link, timeout: float, headers: Mapping[str, str], *, has_proxy: bool
    ) -> None:
        self._link = link
        self._timeout = timeout
        self._headers = headers
        self._has_proxy = has_proxy
        self._session = requests.Session()  # reads the environment; nothing is sent with it
        self._adapter = DeadlineAdapter(link)
        self._settings: Mapping[str, Any] = {}
        self._until = 0.0
        self._prepared: dict[str, tuple[requests.PreparedRequest, bytes]] = {}
        # at most one, and none during a request: what `close` closes nobody may be reading from,
        # as its number may be another file's the next moment
        self._at_rest: deque[Connection] = deque()
        self._is_closed = False

    def post(self, url: str, body: bytes, headers: Mapping[str, str], auth: HeaderAuth) -> Answer:
        """POST a body, and read the answer.

        Raises:
            Exception: What `requests`, `urllib3` or the system say of a way that leads nowhere.
        """
        self._link.deadline.start(self._timeout)
        try:
            self._look_around(url)
            prepared, start = self._prepared.get(url) or self._prepare(url, auth)
            connection = self._take()
            if connection is None:
                return self._over_a_new_one(prepared, body, headers, auth)
            rest = {**headers, "Authorization": auth.value, "Content-Length": str(len(body))}
            return self._over(connection, start, rest, body)
        except BaseException:
            self._until = 0.0
            raise

    @property
    def proxies(self) -> list[str]:
        """None but the environment's."""
        return []

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone, as they are: another thread was using them."""

    def close(self) -> None:
        """Close what is open, but for a connection that is in use."""
        self._is_closed = True
        self._forget()
        self._adapter.close()

    def _look_around(self, url: str) -> None:
        """Read what the environment says, if that was long ago."""
        if time.monotonic() < self._until:
            return
        none: Any = {} if self._has_proxy else dict.fromkeys(("http", "https", "all"))
        found = self._session.merge_environment_settings(url, none, True, None, None)  # noqa: FBT003 - as `requests` has it
        if found != self._settings:
            self._forget()
            self._settings = found
        self._until = time.monotonic() + KNOWN_SECONDS

    def _prepare(self, url: str, auth: HeaderAuth) -> tuple[requests.PreparedRequest, bytes]:
        """What all requests to a URL have in common, for `requests` and as bytes."""
        request = requests.Request("POST", url, headers=dict(self._headers), auth=auth)
        prepared = self._session.prepare_request(request)
        common = {
            name: value for name, value in prepared.headers.items() if name.lower() not in _OF_EACH
        }
        host = {"Host": urlsplit(str(prepared.url)).netloc}
        start = f"POST {prepared.path_url} HTTP/1.1\r\n".encode() + _lines({**host, **common})
        self._prepared[url] = prepared, start
        return prepared, start

    def _over_a_new_one(
        self,
        prepared: requests.PreparedRequest,
        body: bytes,
        headers: Mapping[str, str],
        auth: HeaderAuth,
    ) -> Answer:
        request = prepared.copy()
        request.headers.update(headers)
        request.prepare_body(body, None)
        proxy = requests.utils.select_proxy(str(request.url), self._settings["proxies"])
        is_direct = not (proxy and str(request.url).startswith("http:"))  # or through a tunnel

        def keep(connection: object) -> bool:
            if not is_direct or not isinstance(connection, Connection):
                return False
            self._lay_to_rest(connection)
            return True

        with self._adapter.send(auth(request), timeout=self._timeout, **self._settings) as response:
            return read_answer(response, self._link.deadline.check, keep)

    def _over(
        self, connection: Connection, start: bytes, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        is_expected = False
        try:
            came = connection.ask(start + _lines(headers) + b"\r\n", body)
            answer = whole_answer(came, connection.sock)
            if answer is not None:
                is_expected = answer.document is not None
            else:
                wire = connection.head_of(came)
                answer, is_expected = read_wire(wire, connection, self._link.deadline.check)
            is_expected = is_expected and self._link.progress.is_whole
            return answer
        finally:
            if is_expected:
                self._lay_to_rest(connection)
            else:
                connection.close()

    def _take(self) -> Connection | None:
        """The connection of the last request, if it is still good."""
        try:
            connection = self._at_rest.pop()
        except IndexError:
            return None
        if not is_connection_dropped(connection):
            return connection
        connection.close()
        return None

    def _lay_to_rest(self, connection: Connection) -> None:
        self._at_rest.append(connection)
        if self._is_closed:
            self._forget()

    def _forget(self) -> None:
        while self._at_rest:
            self._at_rest.pop().close()


def _lines(headers: Mapping[str, str]) -> bytes:
    """Headers as they are sent.

    Raises:
        requests.exceptions.InvalidHeader: One would end before its end.
    """
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise requests.exceptions.InvalidHeader(f"the header {name} is none")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
