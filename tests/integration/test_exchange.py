from __future__ import annotations

import os
import socket
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
import requests

from segops_durable.exchange import Exchange, HeaderAuth
from segops_durable.verdicts import Answer, Meaning, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

AUTH = HeaderAuth("ApiKey", "sk_test")
HEAD = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"


@contextmanager
def peer(answer: bytes, *, then_wait: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """A raw socket that reads a request, writes `answer`, and hangs up, or does not."""
    received: list[bytes] = []
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            received.append(connection.recv(65536))
            connection.sendall(answer)
            if then_wait:
                done.wait(30)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", received
        finally:
            done.set()
            thread.join()


def post(
    url: str, timeout: float = 5.0, session: requests.Session | None = None
) -> Answer | Verdict:
    exchange = Exchange(url, timeout=timeout, user_agent="test", session=session)
    try:
        return exchange.post("/x", b"{}", AUTH)
    finally:
        exchange.close()


def test_an_answer_is_read_whole() -> None:
    with peer(HEAD + b"Content-Length: 2\r\n\r\n{}") as (url, _):
        answer = post(url)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.document) == (202, {})


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        HEAD + b"Content-Length: 100\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_a_broken_answer_is_no_answer(answer: bytes) -> None:
    with peer(answer) as (url, _):
        verdict = post(url)
    assert isinstance(verdict, Verdict)
    assert verdict.meaning is Meaning.UNREACHABLE


def test_an_answer_that_does_not_come_ends_at_the_timeout() -> None:
    with peer(b"", then_wait=True) as (url, _):
        verdict = post(url, timeout=0.1)
    assert isinstance(verdict, Verdict)


def test_an_endless_answer_is_cut_off() -> None:
    with peer(HEAD + b"\r\n" + b"x" * 200_000) as (url, _):
        answer = post(url)
    assert isinstance(answer, Answer)
    assert answer.body is None


def test_a_netrc_does_not_replace_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login eve password eve\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", os.fspath(netrc))
    with peer(HEAD + b"Content-Length: 2\r\n\r\n{}") as (url, received):
        post(url)
    assert b"Authorization: ApiKey sk_test\r\n" in received[0]
    assert b"Origin" not in received[0]


def test_a_name_that_does_not_resolve_or_a_missing_ca_is_no_answer(tmp_path: Path) -> None:
    assert isinstance(post("http://nowhere.invalid"), Verdict)
    with requests.Session() as session:
        session.verify = str(tmp_path / "missing.pem")
        verdict = post("https://127.0.0.1:1", session=session)
    assert isinstance(verdict, Verdict)
    assert verdict.meaning is Meaning.UNREACHABLE


def test_a_session_that_was_handed_in_is_used_and_left_open(sandbox: Sandbox) -> None:
    with requests.Session() as session:
        session.headers["X-Mine"] = "yes"
        answer = post(sandbox.url, session=session)
        assert isinstance(answer, Answer)
        assert session.get(f"{sandbox.url}/_sandbox/summary", timeout=10).ok


def test_a_credential_is_not_in_the_repr() -> None:
    assert "sk_test" not in repr(AUTH)
