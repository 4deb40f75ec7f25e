"""What is asked again over a connection that is open is the same, and held to the same."""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import trustme

from segops_durable.api import own_way
from segops_durable.api.verdicts import Answer, Meaning, Verdict
from support.peer import LONG_SECONDS, Peer, Request, answer
from support.wire import AUTH, GOOD, HEAD, INTERIM, answered, numbered, post

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.api.exchange import Exchange


@pytest.fixture
def connect(own: Callable[..., Exchange]) -> Callable[..., Exchange]:
    return own


def after_a_good_one(react: Callable[[Request], bytes | None]) -> Peer:
    """Answers the first request well."""
    served = Peer(lambda each: react(each) if len(served.requests) > 1 else numbered(each))
    return served


@pytest.mark.parametrize("path", ["", "/behind/a proxy/ü"], ids=["bare", "path"])
@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1"])
def test_a_request_says_the_same_over_an_open_connection_as_over_a_new_one(
    connect: Callable[..., Exchange], host: str, path: str
) -> None:
    with Peer(numbered) as segops:
        exchange = connect(segops.url.replace("localhost", host) + path)
        for _ in range(2):
            answered = exchange.post("/x", b"1", AUTH, {"Idempotency-Key": "k"})
            assert isinstance(answered, Answer)
        assert segops.connections == 1
    first, second = segops.requests
    assert first == second
    assert second.key == "k"


def test_each_request_has_its_own_key_and_credential_and_length(
    connect: Callable[..., Exchange],
) -> None:
    with Peer(lambda _request: GOOD) as segops:
        exchange = connect(segops.url)
        bodies = [b"1", b"{}" * 10, b"x" * 1_000_000, b"", b"1"]
        for number, body in enumerate(bodies):
            auth = type(AUTH)("ApiKey", f"sk_{number}")
            exchange.post("/x", body, auth, {"Idempotency-Key": f"key-{number}"})
        exchange.post("/other", b"2", AUTH)
        assert segops.connections == 1
    assert [each.body for each in segops.requests] == [*bodies, b"2"]
    batches = segops.requests[:-1]
    assert [each.key for each in batches] == [f"key-{n}" for n in range(5)]
    assert [each.headers["authorization"] for each in batches] == [
        f"ApiKey sk_{n}" for n in range(5)
    ]
    assert segops.requests[-1].line == "POST /other HTTP/1.1"
    assert "idempotency-key" not in segops.requests[-1].headers


@pytest.mark.parametrize("key", ["a\r\nX: y", "a\nb", "ü", "\x00"])
def test_a_key_that_is_no_header_sends_nothing(connect: Callable[..., Exchange], key: str) -> None:
    with Peer(numbered) as segops:
        exchange = connect(segops.url)
        assert answered(exchange, "a") == "a"
        refused = exchange.post("/x", b"b", AUTH, {"Idempotency-Key": key})
        assert isinstance(refused, Verdict)
        assert len(segops.requests) == 1
        assert answered(exchange, "c") == "c"


@pytest.mark.parametrize(
    "said",
    [
        None,
        b"nonsense\r\n\r\n",
        HEAD + b"Content-Length: 100\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"X: y\r\n" * 1_000_000,
        b"HTTP/1.1 99999999 Odd\r\n\r\n",
        INTERIM["processing"] * 200,
    ],
)
def test_what_is_no_answer_is_none_over_an_open_connection_either(
    connect: Callable[..., Exchange], said: bytes | None
) -> None:
    def react(request: Request) -> bytes | None:
        if request.body != b"b":
            return numbered(request)
        assert odd.socket is not None
        odd.socket.sendall(said or b"")
        return None

    with Peer(react) as odd:
        exchange = connect(odd.url)
        assert answered(exchange, "a") == "a"
        reply = post(exchange, "b")
        assert isinstance(reply, Verdict)
        assert (reply.meaning, reply.is_unsent) == (Meaning.UNREACHABLE, False)
        assert reply.may_have_arrived
        assert answered(exchange, "c") == "c"
        assert odd.connections == 2


@pytest.mark.parametrize("interim", INTERIM.values(), ids=list(INTERIM))
def test_the_final_answer_counts_over_an_open_connection_too(
    connect: Callable[..., Exchange], interim: bytes
) -> None:
    with after_a_good_one(lambda each: interim * 3 + numbered(each)) as segops:
        exchange = connect(segops.url)
        assert [answered(exchange, each) for each in "abc"] == ["a", "b", "c"]
        assert segops.connections == 1


@pytest.mark.parametrize("behind", [b"HTTP/1.1", GOOD])
def test_what_comes_behind_an_answer_is_nobodys(
    connect: Callable[..., Exchange], behind: bytes
) -> None:
    with after_a_good_one(lambda each: numbered(each) + behind) as segops:
        exchange = connect(segops.url)
        assert [answered(exchange, each) for each in "abcd"] == list("abcd")
        assert segops.connections == 3


def test_what_tls_has_unpacked_and_nobody_has_read_is_nobodys(
    connect: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It comes in one record with an answer that ends where the buffer does: no poll shows it."""
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca"))

    def react(request: Request) -> bytes:
        room = io.DEFAULT_BUFFER_SIZE - len(numbered(request, pad="x" * 1000)) + 1000
        whole = numbered(request, pad="x" * room)
        assert len(whole) == io.DEFAULT_BUFFER_SIZE
        return whole + GOOD

    with Peer(lambda each: numbered(each) if each.body == b"a" else react(each), tls) as segops:
        exchange = connect(segops.url)
        assert [answered(exchange, each) for each in "abcb"] == list("abcb")
        assert segops.connections == 3


@pytest.mark.parametrize("slowly", [b"H", HEAD, HEAD + b"Content-Length: 100\r\n\r\n "])
def test_a_peer_that_dribbles_over_an_open_connection_is_cut_off_at_the_timeout(
    connect: Callable[..., Exchange], slowly: bytes
) -> None:
    def react(_request: Request) -> None:
        dribbling.dribble(slowly)

    with after_a_good_one(react) as dribbling:
        exchange = connect(dribbling.url, timeout=2)
        assert answered(exchange, "a") == "a"
        reply = post(exchange, "b")
    assert isinstance(reply, Verdict)
    assert "gives no answer within 2 s" in reply.detail


def test_what_is_not_wanted_any_more_does_not_leave_over_an_open_connection(
    connect: Callable[..., Exchange],
) -> None:
    with Peer(numbered) as segops:
        exchange = connect(segops.url)
        assert answered(exchange, "a") == "a"
        exchange.is_wanted = lambda: False
        reply = post(exchange, "b")
        assert isinstance(reply, Verdict)
        assert (reply.meaning, reply.is_unsent) == (Meaning.WITHDRAWN, True)
        exchange.is_wanted = lambda: True
        assert answered(exchange, "c") == "c"
        assert [each.body for each in segops.requests] == [b"a", b"c"]


def test_nobody_waits_for_all_of_a_large_request_to_leave(
    connect: Callable[..., Exchange],
) -> None:
    replies: list[Answer | Verdict] = []
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        exchange = connect(f"http://127.0.0.1:{deaf.getsockname()[1]}", timeout=LONG_SECONDS)

        def send(body: str) -> threading.Thread:
            sending = threading.Thread(target=lambda: replies.append(post(exchange, body)))
            sending.start()
            return sending

        first = send("a")
        with deaf.accept()[0] as served:
            while not served.recv(4096).endswith(b"a"):
                pass
            served.sendall(answer(202, {}))
            first.join(LONG_SECONDS)
            second = send("x" * 50_000_000)
            assert served.recv(1)  # it is on its way, and never gets there
            exchange.wait_until_it_left()
        second.join(LONG_SECONDS)
    assert isinstance(replies[1], Verdict)
    assert replies[1].is_cut
    assert "broke" in replies[1].detail


def test_a_connection_that_was_closed_at_rest_costs_no_request(
    connect: Callable[..., Exchange],
) -> None:
    with Peer(numbered) as segops:
        exchange = connect(segops.url)
        for body in "ab":
            assert answered(exchange, body) == body
            assert segops.socket is not None
            segops.socket.shutdown(socket.SHUT_RDWR)
            segops._threads[-1].join(LONG_SECONDS)
        assert segops.connections == 2


def test_a_connection_that_is_in_use_is_closed_after_it_not_meanwhile(
    connect: Callable[..., Exchange],
) -> None:
    came, closed = threading.Event(), threading.Event()

    def react(request: Request) -> bytes:
        came.set()
        assert closed.wait(LONG_SECONDS)
        return numbered(request)

    with after_a_good_one(react) as segops:
        exchange = connect(segops.url)
        assert answered(exchange, "a") == "a"
        replies: list[str | None] = []
        using = threading.Thread(target=lambda: replies.append(answered(exchange, "b")))
        using.start()
        assert came.wait(LONG_SECONDS)
        exchange.close()
        closed.set()
        using.join(LONG_SECONDS)
        assert replies == ["b"]
        serving = segops._threads[-1]  # ends with its connection
        serving.join(LONG_SECONDS)
        assert not serving.is_alive()


# The environment


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    def name(url: str) -> None:
        for each in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(each, url)

    return name


def a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    shifted = SimpleNamespace(monotonic=lambda: time.monotonic() + own_way.KNOWN_SECONDS)
    monkeypatch.setattr(own_way, "time", shifted)


def test_over_a_proxy_each_request_names_the_host(
    connect: Callable[..., Exchange], proxies: Callable[[str], None]
) -> None:
    with Peer(numbered) as proxy:
        proxies(proxy.url)
        exchange = connect("http://segops.invalid")
        assert [answered(exchange, each) for each in "ab"] == ["a", "b"]
        assert proxy.connections == 1
    first, second = proxy.requests
    assert first.line == second.line == "POST http://segops.invalid/x HTTP/1.1"
    assert first.headers == second.headers


def test_another_proxy_is_used_within_a_minute(
    connect: Callable[..., Exchange],
    proxies: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Peer(numbered) as one, Peer(numbered) as other:
        proxies(one.url)
        exchange = connect("http://segops.invalid")
        assert answered(exchange, "a") == "a"
        proxies(other.url)
        assert answered(exchange, "b") == "b"
        assert not other.requests
        a_minute_later(monkeypatch)
        assert answered(exchange, "c") == "c"
        assert (len(one.requests), len(other.requests)) == (2, 1)


def test_after_a_failure_the_environment_is_asked_at_once(
    connect: Callable[..., Exchange], proxies: Callable[[str], None]
) -> None:
    with Peer(numbered) as one, Peer(lambda _request: None) as broken:
        proxies(broken.url)
        exchange = connect("http://segops.invalid")
        assert isinstance(post(exchange, "a"), Verdict)
        proxies(one.url)
        assert answered(exchange, "b") == "b"


def test_a_connection_that_is_open_is_not_used_against_the_environment(
    connect: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A CA that is not trusted any more vouches for nobody."""
    authority, other = trustme.CA(), trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    for name, each in (("one", authority), ("other", other)):
        each.cert_pem.write_to_path(str(tmp_path / name))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "one"))
    with Peer(numbered, tls) as segops:
        exchange = connect(segops.url)
        assert [answered(exchange, each) for each in "ab"] == ["a", "b"]
        assert segops.connections == 1
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other"))
        a_minute_later(monkeypatch)
        reply = post(exchange, "c")
        assert isinstance(reply, Verdict)
        assert "is not trusted" in reply.detail
        assert len(segops.requests) == 2
