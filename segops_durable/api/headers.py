"""The head of an answer, as far as anything depends on it.

`http.client` refuses more than a hundred headers, or a long one, and SegOps' answer with
them: some proxy may have added them. The few that are read here are passed on, and the
others left out while they come.
"""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any, Protocol

from requests.structures import CaseInsensitiveDict

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_HEAD_BYTES = 1 << 20
"""Bytes of an answer's head at most; whoever sends more sends them for ever."""

MOST_INTERIM = 100
"""Interim answers before the final one; whoever sends more sends them for ever."""

KEPT = {
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"date",
    b"location",
    b"retry-after",
    b"transfer-encoding",
}
"""The headers that anything depends on."""
_MOST_KEPT = 64
_MOST_DIGITS = 19
_LINE = 1 << 16
_SWITCHING_PROTOCOLS = 101
_WITHOUT_BODY = {_SWITCHING_PROTOCOLS, 204, 304}


class _Stream(Protocol):
    def readline(self, limit: int = -1, /) -> bytes:
        """A line, or as much of it."""


def is_interim(status: int) -> bool:
    """Whether another answer follows to the same request."""
    return 100 <= status < 200 and status != _SWITCHING_PROTOCOLS  # noqa: PLR2004 - HTTP's own numbers


def read_past_interim(answer: http.client.HTTPResponse, begin: Callable[[], None]) -> None:
    """Read on until an answer is the final one (RFC 9110, section 15.2).

    `http.client` takes 102 and 103 for it, and the final one for that to the next request.

    Args:
        answer: Whose head has been read.
        begin: Reads the next head into it.

    Raises:
        http.client.HTTPException: No final one came.
    """
    for _ in range(MOST_INTERIM):
        if not is_interim(answer.status):
            return
        answer.headers = answer.msg = None  # type: ignore[assignment]  # as before the first
        begin()
    raise http.client.HTTPException("interim answers, and no final one")


def read_head(answer: http.client.HTTPResponse) -> None:
    """Read a head as `begin` of `http.client` does, but for email's parser.

    That takes a quarter of what a request costs over an open connection.

    Args:
        answer: The answer; its stream is a `HeaderSieve`.

    Raises:
        http.client.HTTPException: It is no head.
    """
    this: Any = answer
    version, status, reason = this._read_status()  # noqa: SLF001 - as urllib3 does
    if not version.startswith("HTTP/1."):
        raise http.client.UnknownProtocol(version)
    this.code = this.status = status
    this.reason = reason.strip()
    this.version = 10 if version == "HTTP/1.0" else 11
    this.headers = this.msg = fields = _fields(this.fp)
    this.chunked = fields.get("Transfer-Encoding", "").lower() == "chunked"
    this.chunk_left = None
    this.will_close = this._check_close()  # noqa: SLF001 - likewise
    this.length = None if this.chunked else _length_of(fields)
    if is_interim(status) or status in _WITHOUT_BODY:
        this.length = 0
    elif this.length is None and not this.chunked:
        this.will_close = True


def _length_of(fields: CaseInsensitiveDict[str]) -> int | None:
    """How long the body is; None if it does not say so.

    Raises:
        http.client.HTTPException: It says so twice, and not the same.
    """
    said = {each.strip() for each in fields.get("Content-Length", "").split(",")} - {""}
    if len(said) > 1:
        raise http.client.HTTPException("several lengths of one body")
    length = "".join(said)
    return int(length) if length.isdecimal() and len(length) <= _MOST_DIGITS else None


def _fields(stream: HeaderSieve) -> CaseInsensitiveDict[str]:
    """The headers that are kept; one that comes twice counts as `requests` has it.

    Behind a line that is none no other counts, as email's parser has it.
    """
    found: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    name, is_over = "", False
    while (line := stream.readline(_LINE + 1)) not in {b"\r\n", b"\n", b""}:
        if len(line) > _LINE:
            raise http.client.LineTooLong("header line")
        text = line.decode("latin-1")
        if text.startswith((" ", "\t")):
            before, value = found.get(name, ""), f" {text.strip()}"
        else:
            name, colon, value = text.partition(":")
            is_over = is_over or not colon or name != name.strip()
            before, value = f"{found[name]}, " if name in found else "", value.strip()
        if not is_over:
            found[name] = before + value
    return found


class HeaderSieve:
    """Stands before a stream while `http.client` reads the head of an answer from it.

    Args:
        stream: Where the answer comes from.
    """

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._is_in_headers = False
        self._is_kept = False  # the header whose lines come now
        self._kept = 0
        self._room = MAX_HEAD_BYTES

    def readline(self, limit: int = -1) -> bytes:
        """The next line that counts: a status line, a header, or the empty line after them."""
        if not self._is_in_headers:
            line = self._take(limit)
            self._is_in_headers, self._kept = True, 0
            return line
        while True:
            line = self._take(limit)
            if line in {b"\r\n", b"\n", b""}:
                self._is_in_headers = False
                return line
            if not line.startswith((b" ", b"\t")):  # those go on with the one before
                name = line.partition(b":")[0].strip().lower()
                self._is_kept = name in KEPT and self._kept < _MOST_KEPT
                self._kept += self._is_kept
            if self._is_kept:
                return line
            while line and not line.endswith(b"\n"):
                line = self._take(_LINE)

    def _take(self, limit: int) -> bytes:
        line = self._stream.readline(limit)
        self._room -= len(line)
        if self._room < 0:
            raise http.client.HTTPException(f"headers of more than {MAX_HEAD_BYTES} bytes")
        return line

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._stream, name)
