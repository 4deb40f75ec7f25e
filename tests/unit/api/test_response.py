"""An answer that came at once is read at once only where nothing about it is unusual."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from segops_durable.api.response import whole_answer

BODY = b'{"queued": 1, "skipped": 0}'
USUAL = b"Content-Type: application/json\r\nContent-Length: 27\r\n"


@pytest.fixture
def plain() -> Any:
    return socket.socket()


def answer(headers: bytes = USUAL, status: bytes = b"HTTP/1.1 202 Accepted") -> bytes:
    return status + b"\r\n" + headers + b"\r\n" + BODY


def test_a_usual_answer_is_read_at_once(plain: Any) -> None:
    with plain:
        found = whole_answer(answer(b"Server: x\r\n" + USUAL + b"Date: today\r\n"), plain)
    assert found is not None
    assert (found.status, found.body) == (202, BODY)
    assert found.document == {"queued": 1, "skipped": 0}
    assert dict(found.headers) == {
        "Content-Type": "application/json",
        "Content-Length": "27",
        "Date": "today",
    }


@pytest.mark.parametrize(
    "came",
    [
        b"",
        answer()[:-1],
        answer() + b"H",
        answer(status=b"HTTP/1.0 202 Accepted"),
        answer(status=b"HTTP/1.1 204 No Content"),
        answer(status=b"HTTP/1.1 400 Bad Request"),
        answer(status=b"HTTP/1.1 103 Early Hints"),
        answer(status=b"HTTP/1.1 202"),
        answer(status=b"ICY/1.1 202 OK"),
        answer(USUAL + b"Content-Length: 27\r\n"),
        answer(USUAL + b"content-type: text/html\r\n"),
        answer(USUAL + b"Connection: close\r\n"),
        answer(USUAL + b"Transfer-Encoding: chunked\r\n"),
        answer(USUAL + b"Content-Encoding: gzip\r\n"),
        answer(USUAL + b"Retry-After: 3\r\n"),
        answer(USUAL + b" folded: 1\r\n"),
        answer(USUAL + b"X-Y : 1\r\n"),
        answer(USUAL + b"X-Y: \xfc\r\n"),
        answer(USUAL + b"X-Y: 1\nContent-Length: 28\r\n"),
        answer(b"Content-Type: application/json\r\n"),
        answer(b"Content-Type: application/json\r\nContent-Length: +27\r\n"),
        answer(b"Content-Type: application/json\r\nContent-Length: 027\r\n"),
    ],
)
def test_any_other_is_read_on(plain: Any, came: bytes) -> None:
    with plain:
        assert whole_answer(came, plain) is None


def test_what_tls_may_hold_besides_is_looked_for() -> None:
    tls: Any = SimpleNamespace(pending=lambda: 0)
    assert whole_answer(answer(), tls) is None
