"""How many addresses a connection to a host may have to try, one after the other."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests.utils

if TYPE_CHECKING:
    from collections.abc import Mapping

_KNOWN_SECONDS = 60.0
_PORTS = {"http": 80, "https": 443}


class Addresses:
    """Counts the addresses of a URL's host, or of the proxy on the way to it.

    `urllib3` gives one timeout to each in turn, so a dead one would take all the time.

    Args:
        url: Where a session that was handed in connects to.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._count = 1
        self._until = 0.0

    def count(self, proxies: Mapping[str, str], *, asks_environment: bool) -> int:
        """How many there are, at least 1; looked up once a minute.

        Args:
            proxies: Those of the session.
            asks_environment: Whether those of the environment hold as well.
        """
        if time.monotonic() >= self._until:
            self._count = self._look_up({**self._environment(asks_environment), **proxies})
            self._until = time.monotonic() + _KNOWN_SECONDS
        return self._count

    def _environment(self, is_asked: bool) -> Mapping[str, str]:  # noqa: FBT001 - private
        return requests.utils.get_environ_proxies(self._url) if is_asked else {}

    def _look_up(self, proxies: Mapping[str, str]) -> int:
        try:
            proxy = requests.utils.select_proxy(self._url, proxies)
            parts = urlsplit(proxy if proxy and "://" in proxy else f"http://{proxy or ''}")
            if not proxy:
                parts = urlsplit(self._url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
            found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except (OSError, ValueError):  # the request itself will say what is wrong
            return 1
        return max(1, len({each[4] for each in found}))
