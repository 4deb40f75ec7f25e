"""Secrets in texts: what an error, a note or a log line says of them is that they were there.

A server may repeat a key, a library a proxy's URL with its password, an application's own
exception the signature that it was about. All errors' texts pass through here.

Most are known by their form. But a URL that somebody mistyped has none, and a library shows
whatever part of it made it stumble: so the passwords of the environment's proxies, and what
else we were given, are known by themselves as well.
"""

from __future__ import annotations

import base64
import os
import re
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK = "…"
_TOKEN = r"[A-Za-z0-9_.~+/=-]"  # noqa: S105 - what one may be made of
_IS_RANDOM = rf"(?={_TOKEN}{{0,100}}(?:[0-9=_.]|[a-z][A-Z]))"  # unlike a word
_LABELS = (
    r"user_id_sig|signature|sig|hmac_secret|secret(?:_hex)?|password|passwd|token|access_token"
    r"|api_?key|authorization|proxy-authorization"
)
_RULES = [
    # an API key; a column may be called pk_id, and a directory sk_data
    (
        re.compile(
            rf"(?<![A-Za-z0-9/\\])([spm]k_)(?=(?:live|test)(?:_|\b)|{_TOKEN}{{0,100}}[0-9A-Z]){_TOKEN}+"
        ),
        _MARK,
    ),
    (re.compile(rf"(?<=[/\\])([spm]k_)(?:live|test)_{_TOKEN}+"), _MARK),
    (re.compile(rf"\b((?i:Bearer|ApiKey|Basic)\s+){_IS_RANDOM}{_TOKEN}{{6,}}"), _MARK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){0,2}"), f"eyJ{_MARK}"),
    # 'label': 'value', "label": "value", label='value', label=value
    (
        re.compile(
            rf"""((?i:(?:\b|_)(?:{_LABELS})["']?(?:\s*=\s*|(?<=["'])\s*:\s*)b?["']?))"""
            r"""(?!None\b|null\b)[^\s"',;&)}\]]+"""
        ),
        _MARK,
    ),
    # a signature, or the secret that it was made with; a SHA-256, too, which is no loss
    (re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{40,}(?![0-9A-Za-z])"), _MARK),
    (re.compile(r"""\b([A-Za-z][A-Za-z0-9+.-]{0,20}://)[^\s/'"<>]{1,300}@"""), f"{_MARK}@"),
    (
        re.compile(r"""(?<![\w/])[^\s:/@'"<>]{1,100}:[^\s/'"<>]{1,200}@(?=[\w.-]{1,253}:[0-9])"""),
        f"{_MARK}@",
    ),
]


_SHORTEST = 4
"""Letters of what is known by itself: a shorter password is part of many a word."""

_MOST_URLS = 64
_WEB = re.compile(r"""\A(b?['"])?(https?://)?""", re.IGNORECASE)
_given: deque[str] = deque(maxlen=_MOST_URLS)  # no lock: a signal handler may give one as well


def scrubbed(text: str) -> str:
    """A text without the secrets in it.

    API keys, tokens, signatures and the secrets that they are made with, and the user and
    password of a URL.
    """
    urls = (*_proxies(), *tuple(_given))
    pattern = _pattern_of(urls) if urls else None
    if pattern is not None:  # before the forms: they may leave a part of it
        text = pattern.sub(lambda _match: _MARK, text)
    for each, instead in _RULES:
        # a function and no template: `re` imports its reader of templates on first use, which
        # fails while the interpreter ends; an error that is told of then would be lost
        text = each.sub(lambda match, instead=instead: _kept(match) + instead, text)  # type: ignore[misc]  # the default binds it now
    return text


def know_url(url: object) -> None:
    """Know the password in a URL from now on, in whatever part of it somebody repeats."""
    if isinstance(url, str) and "@" in url and url not in _given:
        _given.append(url)


def without_user(text: str) -> str:
    """A text that should be a URL, or how one is shown, without all that is before its last @."""
    before, at, rest = text.rpartition("@")
    if not at:
        return text
    begin = _WEB.match(before)
    return f"{begin[0] if begin else ''}{_MARK}@{rest}"


def _proxies() -> Iterator[str]:
    """The environment's proxies that have a user, however their URLs are mistyped."""
    for name in list(os.environ):  # a copy: another thread that sets one ends an iteration
        if name.lower().endswith("_proxy") and "@" in (url := os.environ.get(name, "")):
            yield url


@lru_cache(maxsize=8)
def _pattern_of(urls: tuple[str, ...]) -> re.Pattern[str] | None:
    known = {form for url in urls for form in _forms_of(url) if len(form) >= _SHORTEST}
    if not known:
        return None
    either = "|".join(re.escape(each) for each in sorted(known, key=len, reverse=True))
    return re.compile(rf"(?<![A-Za-z0-9])(?:{either})(?![A-Za-z0-9])")


def _forms_of(url: str) -> Iterator[str]:
    """What may be shown of a URL's user and password, whole and in the parts it is taken for."""
    userinfo = url.rpartition("@")[0]
    userinfo = re.sub(r"\A\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?//", "", userinfo)
    user, colon, password = userinfo.partition(":")
    secret = password if colon else user  # alone it is a token
    parts = [secret, *re.split(r"[\s/?#@:\[\]\\]", secret)]
    for part in parts:
        for form in (part, unquote(part)):
            yield from (form, quote(form, safe=""), quote(form), repr(form)[1:-1])
    for form in (userinfo, unquote(userinfo)):
        yield base64.b64encode(form.encode(errors="replace")).decode().rstrip("=")


def _kept(match: re.Match[str]) -> str:
    """What a rule leaves of what it finds: its group, if it has one."""
    return match[1] if match.re.groups else ""


def without_secrets(error: BaseException) -> BaseException:
    """An exception that may be shown with its traceback: itself, or one in its place.

    A traceback shows the text of whatever led to an error as well. So where that has a
    secret, each in the chain gives way to another of the same name and the same frames.
    """
    chain = list(_chain(error))
    if all(scrubbed(_text(each)) == _text(each) for each in chain):
        return error
    stand_in: BaseException | None = None
    for each in reversed(chain):
        led_to_it = stand_in
        kind = type(type(each).__name__, (Exception,), {"__module__": type(each).__module__})
        stand_in = kind(scrubbed(_text(each)))
        stand_in.__traceback__ = each.__traceback__
        stand_in.__cause__ = led_to_it
    return stand_in or error


def _chain(error: BaseException) -> Iterator[BaseException]:
    known: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in known:
        known.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is somebody else's, and must not hide the real one
        return ""
