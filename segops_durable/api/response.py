"""Reads one answer: all of it or to its cap, and what that means for its connection.

An answer belongs to its request. So a connection is kept for the next one only after an
answer that was what it should be, to its last byte, with nothing behind it. While it is
being read nobody else may take the connection, as `urllib3` would have it.
"""

from __future__ import annotations

import http.client
import re
import zlib
from typing import TYPE_CHECKING, Any

from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import DecodeError

from segops_durable.api.deadline import Reader
from segops_durable.api.headers import KEPT, read_past_interim
from segops_durable.api.verdicts import Answer

if TYPE_CHECKING:
    import io
    import socket
    from collections.abc import Callable

    import requests

MAX_ANSWER_BYTES = 64 * 1024
_FIRST_FINAL = 200
_TIMED_OUT = 408
_GZIP_OR_ZLIB = 47  # for zlib's wbits


def read_answer(
    response: requests.Response,
    check: Callable[[], None],
    keep: Callable[[Any], bool] = lambda _connection: False,
) -> Answer:
    """Read an answer, and close its connection unless all of it is as it should be.

    Args:
        response: What `requests` has of it: all but the body.
        check: Called between reads; raises once the time is up.
        keep: Called with a connection that is good for another request; what it does not take,
            `urllib3` does.

    Raises:
        OSError: The connection broke, or the time is up.
        http.client.HTTPException: It is not HTTP, or ends too early.
        urllib3.exceptions.HTTPError: Likewise, or it is not encoded as it says.
    """
    raw = response.raw
    connection = getattr(raw, "_connection", None)
    if connection is None:  # an adapter that makes its answers itself
        return _of_no_wire(response, check)
    # urllib3 gives the connection back to its pool at the last byte of the body; what has come
    # behind that would be taken for the answer to the next request
    raw._connection = None  # noqa: SLF001 - there is no other way to keep it
    is_expected = False
    try:
        wire = getattr(raw, "_original_response", None)
        if not isinstance(wire, http.client.HTTPResponse) or wire.fp is None:
            return _of_no_wire(response, check)
        answer, is_expected = read_wire(wire, connection, check)
        _leave_body(response, answer.body)
        return answer
    finally:
        if not is_expected:
            connection.close()
        if not (is_expected and keep(connection)):
            raw._connection = connection  # noqa: SLF001 - as above
            raw.release_conn()


def read_wire(
    wire: http.client.HTTPResponse,
    connection: Any,  # noqa: ANN401 - of either urllib3
    check: Callable[[], None],
) -> tuple[Answer, bool]:
    """Read an answer off its connection; say whether the connection is good for another.

    Args:
        wire: The answer, of which the head was read.
        connection: Where it comes from.
        check: Called between reads; raises once the time is up.

    Raises:
        OSError: As `read_answer` has it.
        http.client.HTTPException: Likewise.
        urllib3.exceptions.HTTPError: Likewise.
    """
    read_past_interim(wire, wire.begin)
    headers = _headers_of(wire)
    stream: Any = wire.fp
    # `http.client` closes its stream at the last byte, and what that has read ahead vanishes:
    # nobody could see any more that something came behind the answer
    wire._close_conn = lambda: None  # type: ignore[attr-defined]  # noqa: SLF001 - as above
    is_framed = not (wire.headers.get("Content-Length") and wire.headers.get("Transfer-Encoding"))
    body = _body_of(wire, check)
    if body is not None:
        body = _decoded(body, headers.get("Content-Encoding", ""))
    answer = Answer(wire.status, headers, body)
    is_expected = (
        is_framed
        and wire.status >= _FIRST_FINAL
        and wire.status != _TIMED_OUT  # whoever says that is about to close it
        and answer.document is not None
        and not wire.will_close
        and not _has_more(connection.sock, stream)
    )
    wire.fp = None  # type: ignore[assignment]  # as `http.client` leaves it
    stream.close()
    return answer, is_expected


def whole_answer(came: bytes, sock: socket.socket) -> Answer | None:
    """An answer that came at once and is in no way unusual; None for any other, to be read on.

    To read it as one that comes by and by takes a tenth of what a small batch costs in all.

    Args:
        came: All that was received.
        sock: Where from: what TLS holds besides does not show here.
    """
    head, _, body = came.partition(b"\r\n\r\n")
    status_line, *lines = head.split(b"\r\n")
    if _SUCCESS.fullmatch(status_line) is None or hasattr(sock, "pending"):
        return None
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            return None
        name, value = found.groups()
        if (kept := name.lower()) in KEPT:
            if kept not in _USUAL or name.decode() in headers:
                return None
            headers[name.decode()] = value.decode()
    if headers.get("Content-Length") != str(len(body)):
        return None
    return Answer(int(status_line[9:12]), headers, body)


_SUCCESS = re.compile(rb"HTTP/1\.1 20[0-2] [ -~]*")
_HEADER = re.compile(rb"([!#-'*+.0-9A-Z^-z|~-]+):[ \t]*([!-~](?:[ -~]*[!-~])?)")
_USUAL = {b"content-length", b"content-type", b"date"}


def _body_of(wire: http.client.HTTPResponse, check: Callable[[], None]) -> bytes | None:
    """Read a body as it comes; None if it is too large."""
    body = bytearray()
    while part := wire.read1(MAX_ANSWER_BYTES):
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            return None
        check()
    if wire.length:
        raise http.client.IncompleteRead(bytes(body), wire.length)
    return bytes(body)


def _all_of(response: requests.Response, check: Callable[[], None]) -> bytes | None:
    """Read a body byte by byte: a larger read would wait for as much to come."""
    body = bytearray()
    for byte in response.iter_content(chunk_size=1):
        body += byte
        if len(body) > MAX_ANSWER_BYTES:
            return None
        check()
    return bytes(body)


def _of_no_wire(response: requests.Response, check: Callable[[], None]) -> Answer:
    """Read what does not come off a connection, or not any more."""
    body = _all_of(response, check)
    if body is not None and getattr(response.raw, "_original_response", None) is not None:
        body = _decoded(body, response.headers.get("Content-Encoding", ""))
    _leave_body(response, body)
    return Answer(response.status_code, response.headers, body)


def _leave_body(response: requests.Response, body: bytes | None) -> None:
    """Leave the body where `requests`, which reads on for a redirect, finds it."""
    response._content = body or b""  # noqa: SLF001 - there is no other way to give it one
    response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001 - as above


def _headers_of(wire: http.client.HTTPResponse) -> CaseInsensitiveDict[str]:
    """The headers; one that comes twice counts as `requests` has it."""
    headers: Any = wire.headers
    if isinstance(headers, CaseInsensitiveDict):  # read by hand
        return headers
    found: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for name, value in headers.items():
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _decoded(body: bytes, encoding: str) -> bytes | None:
    """Unpack a body that came packed, though nobody asked for it; None if it is too large."""
    kind = encoding.strip().lower()
    if kind in {"", "identity"} or not body:
        return body
    if kind not in {"gzip", "x-gzip", "deflate"}:
        raise DecodeError(f"the answer is encoded as {kind[:40]}")
    unpacking = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        plain = unpacking.decompress(body, MAX_ANSWER_BYTES + 1)
    except zlib.error as error:
        raise DecodeError(f"the answer is not {kind}: {error}") from error
    if len(plain) > MAX_ANSWER_BYTES:
        return None
    if not unpacking.eof:
        raise DecodeError("the answer ends too early")
    return plain


def _has_more(sock: socket.socket | None, stream: io.BufferedReader) -> bool:
    """Whether something has come behind the answer, which nobody asked for.

    The next request would take it for its own.
    """
    if sock is None:
        return False
    if isinstance(stream.raw, Reader):
        stream.raw.is_glance = True
        if not stream.raw.may_hold:
            return bool(stream.peek(1))
    timeout = sock.gettimeout()
    sock.settimeout(0)
    try:
        return bool(stream.peek(1))
    except OSError as error:
        return not isinstance(error, BlockingIOError) and type(error).__name__ not in _NOTHING_YET
    finally:
        sock.settimeout(timeout)


_NOTHING_YET = {"SSLWantReadError", "SSLWantWriteError"}
