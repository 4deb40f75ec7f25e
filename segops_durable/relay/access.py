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

from segops_durable.relay.answers import RefusedError, detail
from segops_durable.relay.protocol import is_of_file
from segops_durable.system.hosts import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from segops_durable.relay.settings import RelaySettings

TOKEN_HEADER = "x-relay-token"  # noqa: S105 - its name
TOKEN_PATH = "/t/"  # noqa: S105 - likewise
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", re.IGNORECASE)
_MOST_NAMES = 256
_OF_PROXIES = frozenset({"forwarded", "via", "x-forwarded-for", "x-real-ip"})
"""Who comes through a proxy on this machine is not of this machine."""
_OF_THIS_NETWORK = (".internal", ".local")


class Access:
    """Refuses requests that were not meant for this relay, or come from elsewhere.

    Of those that it lets pass the scope has ``is_local``, whether they are from this machine, and
    ``head``, their headers by name; of several of one name, the first.

    Args:
        app: What answers the others.
        settings: Whom it serves.
    """

    def __init__(self, app: ASGIApp, settings: RelaySettings) -> None:
        self._app = app
        self._settings = settings
        named = (each.strip("[]").lower() for each in (settings.host, *settings.allow_hosts))
        self._hosts = {each.removesuffix(".") for each in named}
        self._origins = {each.lower() for each in settings.allow_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered, or refuse it."""
        if scope["type"] == "http":
            try:
                scope = self._admitted(scope, _head_of(scope))
            except RefusedError as refused:
                await refused.answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admitted(self, scope: Scope, head: Mapping[str, str]) -> Scope:
        is_local = is_near(scope) and _OF_PROXIES.isdisjoint(head)
        scope = self._without_token(scope, head, is_local=is_local)
        if not is_of_file(scope):  # a browser reaches none
            self._check_host(_values(scope, b"host"))
        self._check_origin(scope, head)
        scope["is_local"], scope["head"] = is_local, head
        return scope

    def _without_token(self, scope: Scope, head: Mapping[str, str], *, is_local: bool) -> Scope:
        """Take the token out of a path: an SDK can set no header, but it has a URL."""
        asked, given = scope["path"], head.get(TOKEN_HEADER, "")
        if asked.startswith(TOKEN_PATH):
            given, _, rest = asked[len(TOKEN_PATH) :].partition("/")
            scope = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}
        if is_local and not given:
            return scope
        own = self._settings.token or ""
        is_right = bool(own) and hmac.compare_digest(given.encode(errors="replace"), own.encode())
        if not is_right:
            raise detail(401, "The token of this relay is needed, and was not given.")
        if asked == f"{TOKEN_PATH}{given}":  # the page, where what it needs would not be found
            raise detail(307, "The page is there.", {"Location": f"{asked}/"})
        return scope

    def _check_host(self, hosts: list[str]) -> None:
        name = _name_of(hosts[0]) if len(hosts) == 1 else ""
        if name in self._hosts or _is_loopback(name):
            return
        if not (name and self._settings.allow_remote and _is_of_this_network(name)):
            raise detail(421, f"This relay is not {', '.join(hosts)[:200] or 'nameless'}.")

    def _check_origin(self, scope: Scope, head: Mapping[str, str]) -> None:
        if "origin" not in head:
            if head.get("sec-fetch-site") == "cross-site":
                raise detail(403, "Pages of other sites may not use this relay.")
            return
        host = head.get("host", "").lower()
        for each in _values(scope, b"origin"):
            origin = each.lower()
            is_own = origin.partition("://")[2] == host and origin.startswith("http")
            if origin not in self._origins and not is_own:
                raise detail(403, f"Pages of {each[:200]} may not use this relay.")


def _head_of(scope: Scope) -> dict[str, str]:
    """The headers of a request by name, the first of each; read once, by what looks up many."""
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in reversed(scope["headers"])
    }


def _values(scope: Scope, name: bytes) -> list[str]:
    """All headers of one name."""
    return [value.decode("latin-1") for each, value in scope["headers"] if each == name]


def is_near(scope: Scope) -> bool:
    """Whether a request is from this machine: by loopback, or over a socket that is a file."""
    client = scope["client"]
    return _is_loopback(client[0]) if client else is_of_file(scope)


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
