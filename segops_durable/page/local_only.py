"""Who may speak to a server of this machine: its programs, not pages of the web.

Where no credentials are checked, a page in somebody's browser could read and erase what the server
holds: by a POST across sites, which needs nobody's leave, or by a name that is made to lead to
loopback (DNS rebinding). A browser tells on both: by ``Host``, ``Origin`` and ``Sec-Fetch-Site``.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_MISDIRECTED, _FORBIDDEN = 421, 403
_PRIVATE_DOMAINS = (".internal", ".local")  # of containers, and of a local network
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", re.IGNORECASE)


class LocalOnly:
    """Refuses requests that were not meant for this server, or come from elsewhere.

    Args:
        app: What answers the others.
        host: The address or the name that it listens on.
        name: What the server is called in a refusal.
    """

    def __init__(self, app: ASGIApp, host: str, name: str) -> None:
        self._app = app
        self._name = name
        self._host = host.strip("[]").lower()
        self._is_for_others = not _is_loopback(self._host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "http":
            refusal = self._refusal(Headers(scope=scope))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> JSONResponse | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return _refused(
                _MISDIRECTED, f"This {self._name} is not {', '.join(hosts) or 'nameless'}."
            )
        origins = headers.getlist("origin")
        if not all(self._is_near(each, hosts[0]) for each in origins):
            return _refused(
                _FORBIDDEN, f"Pages of {', '.join(origins)} may not use this {self._name}."
            )
        if not origins and headers.get("sec-fetch-site") == "cross-site":
            return _refused(_FORBIDDEN, f"Pages of other sites may not use this {self._name}.")
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether a request is for this server, by the host that it names."""
        name = _name_of(host)
        if name == self._host or _is_loopback(name):
            return True
        return self._is_for_others and bool(name) and _is_of_own_network(name)

    def _is_near(self, origin: str, host: str) -> bool:
        """Whether a page is of this machine, or of the very server that it speaks to."""
        scheme, _, netloc = origin.partition("://")
        name = _name_of(netloc)
        is_same = netloc.lower() == host.lower() or name == self._host
        return scheme in {"http", "https"} and (is_same or _is_loopback(name))


def _name_of(host: str) -> str:
    """The name or the address in a host and a port; empty where it is none."""
    match = _HOST.fullmatch(host)
    return match["name"].strip("[]").lower().removesuffix(".") if match else ""


def _refused(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)


def _is_of_own_network(name: str) -> bool:
    """Whether nobody on the web can have made this name lead here: an address is no name."""
    return _address(name) is not None or "." not in name or name.endswith(_PRIVATE_DOMAINS)


def _is_loopback(name: str) -> bool:
    address = _address(name)
    if address is None:
        return name == "localhost" or name.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
