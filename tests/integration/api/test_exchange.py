from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING

import pytest
import requests
import trustme

from segops_durable.api.exchange import Exchange
from segops_durable.api.header_auth import HeaderAuth
from segops_durable.api.verdicts import Answer, Meaning, Verdict
from support.peer import LONG_SECONDS, Peer, Request, answer

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

AUTH = HeaderAuth("ApiKey", "sk_test")
HEAD = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"


def peer(said: bytes, *, then_wait: bool = False) -> Peer:
    """Says something to every request, and hangs up, or does not."""

    def react(_request: Request) -> None:
        assert served.socket is not None
        served.socket.sendall(said)
        if then_wait:
            served.over.wait(LONG_SECONDS)

    served = Peer(react)
    return served


def post(
    url: str, timeout: float = 5.0, session: requests.Session | None = None
) -> Answer | Verdict:
    exchange = Exchange(url, timeout=timeout, user_agent="test", session=session)
    try:
        return exchange.post("/x", b"{}", AUTH)
    finally:
        exchange.close()


def test_an_answer_is_read_whole() -> None:
    with peer(HEAD + b"Content-Length: 2\r\n\r\n{}") as said:
        reply = post(said.url)
    assert isinstance(reply, Answer)
    assert (reply.status, reply.document) == (202, {})


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
    with peer(answer) as said:
        verdict = post(said.url)
    assert isinstance(verdict, Verdict)
    assert verdict.meaning is Meaning.UNREACHABLE


def test_an_answer_that_does_not_come_ends_at_the_timeout() -> None:
    with peer(b"", then_wait=True) as said:
        verdict = post(said.url, timeout=0.1)
    assert isinstance(verdict, Verdict)


def test_an_endless_answer_is_cut_off() -> None:
    with peer(HEAD + b"\r\n" + b"x" * 200_000) as said:
        reply = post(said.url)
    assert isinstance(reply, Answer)
    assert reply.body is None


def test_a_netrc_does_not_replace_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine localhost login eve password eve\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", os.fspath(netrc))
    with peer(HEAD + b"Content-Length: 2\r\n\r\n{}") as said:
        post(said.url)
    assert said.requests[0].headers["authorization"] == "ApiKey sk_test"
    assert "origin" not in said.requests[0].headers


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
        reply = post(sandbox.url, session=session)
        assert isinstance(reply, Answer)
        assert session.get(f"{sandbox.url}/_sandbox/summary", timeout=10).ok


def test_a_credential_is_not_in_the_repr() -> None:
    assert "sk_test" not in repr(AUTH)


# Slow peers: one deadline for all of a request


@pytest.mark.parametrize(
    "slowly",
    [
        b"H",  # not even the status line ends
        HEAD + b"X: y\r\n" * 3,  # the headers go on and on
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 100,
    ],
)
def test_a_peer_that_dribbles_is_cut_off_at_the_timeout(slowly: bytes) -> None:
    def react(_request: Request) -> None:
        dribbling.dribble(slowly)

    with Peer(react) as dribbling:
        verdict = post(dribbling.url, timeout=0.3)
        assert isinstance(verdict, Verdict)
        assert verdict.meaning is Meaning.UNREACHABLE


def test_a_peer_that_dribbles_over_tls_is_cut_off_at_the_timeout(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, ca_file: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))

    def react(_request: Request) -> None:
        dribbling.dribble(HEAD)

    with Peer(react, tls) as dribbling:
        verdict = post(dribbling.url, timeout=0.5)
        assert isinstance(verdict, Verdict)
        assert "gives no answer within 0.5 s" in verdict.detail
        assert dribbling.requests


def test_a_peer_that_does_not_read_is_given_up_at_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        exchange = Exchange(url, timeout=0.3, user_agent="test")
        verdict = exchange.post("/x", b"x" * 50_000_000, AUTH)
        exchange.close()
    assert isinstance(verdict, Verdict)
    assert verdict.meaning is Meaning.UNREACHABLE


def test_a_slow_body_is_cut_off_also_with_a_session_that_was_handed_in() -> None:
    def react(_request: Request) -> None:
        dribbling.dribble(HEAD + b"Content-Length: 100000\r\n\r\n" + b" " * 100)

    with Peer(react) as dribbling, requests.Session() as session:
        dribbling_from_the_body = post(dribbling.url, timeout=1.0, session=session)
    assert isinstance(dribbling_from_the_body, Verdict)


def test_a_kept_connection_that_was_closed_meanwhile_is_opened_anew() -> None:
    def react(_request: Request) -> bytes | None:
        return answer(202, {}) if served.connections != 1 or len(served.requests) == 1 else None

    with Peer(react) as served:
        exchange = Exchange(served.url, timeout=5, user_agent="test")
        assert isinstance(exchange.post("/x", b"{}", AUTH), Answer)
        assert isinstance(exchange.post("/x", b"{}", AUTH), Verdict)  # closed in the very race
        assert isinstance(exchange.post("/x", b"{}", AUTH), Answer)
        assert isinstance(exchange.post("/x", b"{}", AUTH), Answer)
        exchange.close()
    assert served.connections == 2
    assert len(served.requests) == 4


# TLS and proxies


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def test_a_certificate_that_nobody_vouches_for_gets_no_request(tls: ssl.SSLContext) -> None:
    with Peer(lambda _request: answer(202, {}), tls) as stranger:
        verdict = post(stranger.url)
    assert isinstance(verdict, Verdict)
    assert verdict.meaning is Meaning.UNREACHABLE
    assert "is not trusted" in verdict.detail
    assert stranger.requests == []


def test_a_private_ca_from_the_environment_or_of_a_session_is_trusted(
    tls: ssl.SSLContext, ca_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Peer(lambda _request: answer(202, {}), tls) as segops:
        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(str(other))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
        with requests.Session() as session:
            session.verify = str(ca_file)
            assert isinstance(post(segops.url, session=session), Answer)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))
        assert isinstance(post(segops.url), Answer)


def test_a_proxy_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Peer(lambda _request: answer(202, {"via": "proxy"})) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        reply = post("http://segops.invalid")
    assert isinstance(reply, Answer)
    assert reply.document == {"via": "proxy"}
    assert proxy.requests[0].line == "POST http://segops.invalid/x HTTP/1.1"


def test_a_tunnel_through_a_proxy_keeps_to_the_timeout_and_its_refusal_is_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def react(_request: Request) -> bytes | None:
        if len(proxy.requests) == 1:
            return answer(407, {"detail": "Who are you?"})
        proxy.dribble(b"HTTP/1.1 200 OK\r\nX: ")
        return None

    with Peer(react) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("https_proxy", proxy.url)
        for _ in range(2):
            verdict = post("https://segops.invalid", timeout=0.5)
            assert isinstance(verdict, Verdict)
            assert verdict.meaning is Meaning.UNREACHABLE
        assert len(proxy.requests) == 2
        assert proxy.requests[0].line.startswith("CONNECT segops.invalid:443 ")
