"""Names of files at URLs: what is one, and how it is shown without what lets somebody in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from segops_durable.errors.redaction import know_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_CHAIN = "::"
_SHOWN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+://)(?:[^/]*@)?([^?#]*)(.*)", re.DOTALL)
_UNSPLIT_USER = re.compile(r"[^/]*:(?![0-9]*(?:/|\Z)).*", re.DOTALL)
_SECRET = re.compile(r"key|secret|token|passw|sas|credential|connection_string|auth", re.IGNORECASE)
_LOCAL = ("file://", "local://")


def is_url(source: object) -> bool:
    """Whether it is a URL, or a chain of them as fsspec has it: ``simplecache::s3://…``."""
    if not isinstance(source, str):
        return False
    return bool(_URL.match(source.rpartition(_CHAIN)[2])) or _has_chain(source)


def local_path(url: str) -> str | None:
    """The path that a ``file://`` URL is of; None of any other."""
    if not url.startswith(_LOCAL) or _CHAIN in url:
        return None
    parts = urlsplit(url)
    path = url.partition("://")[2]
    if parts.netloc in {"", "localhost"}:
        path = unquote(parts.path) if "%" in parts.path else path.removeprefix("localhost")
    return path


def shown_url(url: str) -> str:
    """A URL without the user, the password and the query in it."""
    return _CHAIN.join(_shown(each) for each in url.split(_CHAIN))


def know_secrets(url: str, options: Mapping[str, Any]) -> None:
    """Have no error show, from now on, what a URL or options have for whoever may come in."""
    for each in url.split(_CHAIN):
        know_url(each)
    for value in _secrets_of(options):
        know_url(f"//:{value}@")


def _has_chain(source: str) -> bool:
    return any(_URL.match(each) for each in source.split(_CHAIN)) and _CHAIN in source


def _shown(url: str) -> str:
    match = _SHOWN.fullmatch(url)
    if match is None:
        return url
    scheme, place, query = match.groups()
    if _UNSPLIT_USER.fullmatch(place) and not place.startswith("/"):
        return f"{scheme}…"  # a password with a slash in it
    return f"{scheme}{place}{'?…' if query else ''}"


def _secrets_of(options: Mapping[str, Any], is_secret: bool = False) -> Iterator[str]:  # noqa: FBT001, FBT002 - of what it is in
    for name, value in options.items():
        is_one = is_secret or bool(_SECRET.search(str(name)))
        if isinstance(value, dict):
            yield from _secrets_of(value, is_one)
        elif is_one and isinstance(value, str):
            yield value
