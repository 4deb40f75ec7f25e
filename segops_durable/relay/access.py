"""Who may speak to a relay at all: programs of this machine, and pages and hosts that are named.

What a request says of itself is looked at before anything is done with it. A page of the web can
have a browser post to this machine, across sites or by a name that is made to lead here (DNS
rebinding); the browser tells, by ``Host``, ``Origin`` and ``Sec-Fetch-Site``.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from segops_durable.relay.answers import RefusedError, detail
from segops_durable.system.hosts import is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from segops_durable.relay.settings import RelaySettings

TOKEN_HEADER = "x-relay-token"  # noqa: S105 - its name
TOKEN_PATH = "/t/"  # noqa: S105 - likewise
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", re.IGNORECASE)
_MOST_NAMES = 256
_OF_PROXIES = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
"""Who comes through a proxy on this machine is not of this machine."""
_OF_THIS_NETWORK = (".internal", ".local")


class Access:
    """Refuses requests that were not meant for this relay, or come from elsewhere.

    Args:
        app: What answers the others.
        settings: Whom it serves.
    """

    def __init__(self, app: ASGIApp, settings: RelaySettings) -> None:
        self._app = app
        self._settings = settings
        self._hosts = {each.lower() for each in (settings.host, *settings.allow_hosts)}
        self._origins = {each.lower().rstrip("/") for each in settings.allow_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered, or refuse it."""
        if scope["type"] == "http":
            try:
                scope = self._admitted(scope, Headers(scope=scope))
            except RefusedError as refused:
                await refused.answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admitted(self, scope: Scope, headers: Headers) -> Scope:
        is_local = is_near(scope) and not any(each in headers for each in _OF_PROXIES)
        scope = self._without_token(scope, headers, is_local=is_local)
        if self._settings.socket is None:  # a browser reaches no socket that is a file
            self._check_host(headers)
        self._check_origin(headers)
        scope["is_local"] = is_local
        return scope

    def _without_token(self, scope: Scope, headers: Headers, *, is_local: bool) -> Scope:
        """Take the token out of a path: an SDK can set no header, but it has a URL."""
        path, given = scope["path"], headers.get(TOKEN_HEADER, "")
        if path.startswith(TOKEN_PATH):
            given, _, rest = path[len(TOKEN_PATH) :].partition("/")
            scope = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}
        own = self._settings.token or ""
        is_right = bool(own) and hmac.compare_digest(given.encode(errors="replace"), own.encode())
        if (given or not is_local) and not is_right:
            raise detail(401, "The token of this relay is needed, and was not given.")
        return scope

    def _check_host(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        name = _name_of(hosts[0]) if len(hosts) == 1 else ""
        if name in self._hosts or _is_loopback(name):
            return
        if not (name and self._settings.allow_remote and _is_of_this_network(name)):
            raise detail(421, f"This relay is not {', '.join(hosts)[:200] or 'nameless'}.")

    def _check_origin(self, headers: Headers) -> None:
        origins = headers.getlist("origin")
        host = headers.get("host", "").lower()
        for each in origins:
            origin = each.lower()
            is_own = origin.partition("://")[2] == host and origin.startswith("http")
            if origin not in self._origins and not is_own:
                raise detail(403, f"Pages of {each[:200]} may not use this relay.")
        if not origins and headers.get("sec-fetch-site") == "cross-site":
            raise detail(403, "Pages of other sites may not use this relay.")


def is_near(scope: Scope) -> bool:
    """Whether a request is from this machine: by loopback, or over a socket that is a file."""
    client = scope.get("client")
    return not client or not client[0] or _is_loopback(client[0])


@lru_cache(maxsize=_MOST_NAMES)  # to read an address takes as long as to read an event
def _is_loopback(name: str) -> bool:
    return is_loopback(name)


@lru_cache(maxsize=_MOST_NAMES)
def _name_of(host: str) -> str:
    """The name or the address in a host and a port; empty where it is none."""
    match = _HOST.fullmatch(host)
    return match["name"].strip("[]").lower().removesuffix(".") if match else ""


def _is_of_this_network(name: str) -> bool:
    """Whether nobody on the web can have made this name lead here: an address is no name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(_OF_THIS_NETWORK)
    return True
