"""What went wrong on the way to a server, as a sentence for whoever has to mend it.

Libraries wrap each other's exceptions, and show all of them, with classes and addresses of
objects. Somewhere in that there is one that says what happened: it is looked for here.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from itertools import islice
from typing import TYPE_CHECKING

import requests
import urllib3.exceptions as wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST_EXCEPTIONS = 50
_TUNNEL = "Tunnel connection failed: "


def sentence(error: BaseException, host: str, seconds: float) -> str:
    """Say what happened.

    Args:
        error: What a request ended in.
        host: Whom the request was for.
        seconds: The time that it had.
    """
    chain = list(islice(_chain(error), _MOST_EXCEPTIONS))
    is_proxy = any(isinstance(each, wrapped.ProxyError) for each in chain)
    whom = f"the proxy on the way to {host}" if is_proxy else host
    for each in reversed(chain):  # the innermost is what happened first
        for kinds, words in _WORDS:
            if isinstance(each, kinds) and (text := words(each, whom, seconds)):
                return text
    for each in chain:
        if type(each) in _BROKEN:  # whatever broke it
            return f"the connection to {host} broke before there was an answer"
    return f"the request to {host} failed: {type(error).__name__}: {error}"


def libraries_words(error: BaseException) -> str:
    """What the libraries say of it: all that is wrapped in each other, on one line."""
    return f"{type(error).__name__}: {error}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and what led to it, wherever the libraries put that; outermost first."""
    waiting, known = [error], set()
    while waiting:
        each = waiting.pop(0)
        if id(each) in known:
            continue
        known.add(id(each))
        yield each
        held = [*each.args, getattr(each, "reason", None), getattr(each, "original_error", None)]
        waiting += [one for one in (*held, each.__cause__) if isinstance(one, BaseException)]


def _of_name(error: BaseException, whom: str, _seconds: float) -> str:
    return f"{whom} is not found: {_reason(error)}"


def _of_certificate(error: BaseException, whom: str, _seconds: float) -> str:
    why = getattr(error, "verify_message", "") or _reason(error)
    return f"the certificate of {whom} is not trusted: {why}"


def _of_tls(error: BaseException, whom: str, _seconds: float) -> str:
    why = (getattr(error, "reason", None) or "").replace("_", " ").lower()
    return f"{whom} does not speak TLS as it should: {why or _reason(error)}"


def _of_time(_error: BaseException, whom: str, seconds: float) -> str:
    return f"{whom} gives no answer within {seconds:g} s"


def _of_refusal(_error: BaseException, whom: str, _seconds: float) -> str:
    return f"{whom} refuses connections: nothing listens there"


def _of_break(_error: BaseException, whom: str, _seconds: float) -> str:
    return f"the connection to {whom} broke before there was an answer"


def _of_nonsense(_error: BaseException, whom: str, _seconds: float) -> str:
    return f"what {whom} answers is not HTTP"


def _of_system(error: BaseException, whom: str, _seconds: float) -> str:
    text = str(error)
    if text.startswith(_TUNNEL):  # http.client has no exception of its own for that
        return f"{whom} does not let the request through: {text[len(_TUNNEL) :]}"
    number = getattr(error, "errno", None)
    if type(error).__module__.startswith(("requests", "urllib3")) or not number:
        return ""
    return f"no connection to {whom}: {os.strerror(number)}"


def _of_url(_error: BaseException, _whom: str, _seconds: float) -> str:
    return "the URL of the proxy is malformed: look at HTTPS_PROXY and HTTP_PROXY"


def _of_socks(error: BaseException, _whom: str, _seconds: float) -> str:
    is_socks = "SOCKS" in str(error)
    return "a SOCKS proxy is set, which needs: pip install pysocks" if is_socks else ""


def _reason(error: BaseException) -> str:
    """The system's words, without the number in front of them."""
    words = getattr(error, "strerror", None) or str(error)
    return words[:1].lower() + words[1:]


_WORDS: tuple[
    tuple[tuple[type[BaseException], ...], Callable[[BaseException, str, float], str]], ...
] = (
    ((socket.gaierror,), _of_name),
    ((ssl.SSLCertVerificationError,), _of_certificate),
    ((ssl.SSLEOFError, ssl.SSLZeroReturnError), _of_break),
    ((ssl.SSLError,), _of_tls),
    ((TimeoutError, requests.Timeout, wrapped.TimeoutError), _of_time),
    ((ConnectionRefusedError,), _of_refusal),
    ((http.client.RemoteDisconnected, ConnectionError, http.client.IncompleteRead), _of_break),
    ((http.client.HTTPException,), _of_nonsense),
    ((requests.exceptions.InvalidProxyURL,), _of_url),
    ((requests.exceptions.InvalidSchema,), _of_socks),
    ((OSError,), _of_system),
)
_BROKEN = {requests.ConnectionError, requests.exceptions.ChunkedEncodingError}
