"""The address of SegOps: checked, and written in one way however it was typed.

The address names the outbox: with the default path each `api_url` has its own. So two
spellings of one address must come out as one text, or a queue would be left behind by a
trailing slash. The spelling is that which goes over the wire: `requests` prepares it (lower
case, IDNA hosts, percent-encoding as in RFC 3986), and here goes what makes no difference
there: the default port, the dot at the end of the host, slashes at the end of the path, and
the many ways of writing an IPv6 address.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from segops_durable.errors import ConfigurationError
from segops_durable.errors.plain_text import shown
from segops_durable.errors.redaction import without_user
from segops_durable.system.hosts import is_loopback
from segops_durable.system.on_demand import loading

if TYPE_CHECKING:
    from urllib.parse import SplitResult

_DEFAULT_PORTS = {"https": 443, "http": 80}


def checked_url(value: object, *, allow_insecure: bool) -> str:
    """The one spelling of an `api_url`.

    Raises:
        ConfigurationError: It is none, or would send keys unencrypted.
    """
    if not isinstance(value, str):
        _refuse("must be a string", value)
    if any(not character.isprintable() or character.isspace() for character in value):
        _refuse("must not have spaces or control characters", value)
    parts, host, port = _parts(value)
    if parts.scheme not in _DEFAULT_PORTS or not host or port == 0:
        _refuse("must be an http(s) URL with a host", value)
    if parts.username is not None or parts.query or parts.fragment:
        problem = "must not carry a user name, a query or a fragment"
        raise ConfigurationError(f"api_url {problem}", field="api_url")
    found = _normal_or_none(parts)
    if found is None:
        _refuse("must be a URL", value)
    _check_secure(urlsplit(found), value, allow_insecure=allow_insecure)
    return found


def _parts(value: str) -> tuple[SplitResult, str | None, int | None]:
    is_url = False
    with suppress(ValueError):  # what it says shows a part of the URL, perhaps of a password
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
        is_url = True
    if not is_url:
        _refuse("must be a URL", value)
    return parts, host, port


def _normal_or_none(parts: SplitResult) -> str | None:
    with suppress(ValueError):  # of requests as well: a host or a port that nobody could have
        return _normal(parts)
    return None


def normal_url(text: str) -> str:
    """The one spelling of an `api_url` that was written down; as it is, if it is none."""
    try:
        parts = urlsplit(text)
        return _normal(parts) if parts.scheme in _DEFAULT_PORTS and parts.hostname else text
    except ValueError:
        return text


def _normal(parts: SplitResult) -> str:
    with loading():
        import requests  # noqa: PLC0415 - takes long, and is for clients that are opened

    prepared = requests.Request("POST", parts._replace(query="", fragment="").geturl()).prepare()
    found = urlsplit(str(prepared.url))
    port = found.port
    is_implied = port is None or port == _DEFAULT_PORTS[found.scheme]
    host = _normal_host(found.hostname or "")
    return f"{found.scheme}://{host}{'' if is_implied else f':{port}'}{found.path.rstrip('/')}"


def _normal_host(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if ":" in host:  # with a zone
            return f"[{host}]"
        # a name with all its dots is the same host; certificates are made out without the last
        if not (name := host.rstrip(".")):
            raise ValueError("no host") from None
        return name
    return f"[{address.compressed}]" if address.version == 6 else str(address)  # noqa: PLR2004 - IPv6


def _check_secure(parts: SplitResult, value: str, *, allow_insecure: bool) -> None:
    if parts.scheme == "http" and not allow_insecure and not is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            f"api_url must be https, got {_shown(value)}",
            field="api_url",
            hint="Pass allow_insecure=True to send keys and events unencrypted",
        )


def _refuse(problem: str, value: object) -> NoReturn:
    raise ConfigurationError(f"api_url {problem}, got {_shown(value)}", field="api_url")


def _shown(value: object) -> str:
    """A value without a user and password: what is no URL shows them in no known form."""
    return repr(without_user(value)) if isinstance(value, str) else without_user(shown(value))
