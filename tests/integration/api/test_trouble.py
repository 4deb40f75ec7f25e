"""An error of the network is a sentence; what the libraries say of it comes with -v alone."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
import trustme

from segops_durable import UnreachableError
from segops_durable.api.exchange import Exchange
from segops_durable.api.header_auth import HeaderAuth
from segops_durable.api.verdicts import Verdict
from support.commands import Commands
from support.peer import Peer, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable import SegOpsClient

pytestmark = pytest.mark.one_python

CHAIN = ("Pool(", "Caused by", "Max retries", "object at", "Errno", "urllib3", "('Connection")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def told(url: str, timeout: float = 5.0) -> Verdict:
    exchange = Exchange(url, timeout=timeout, user_agent="test")
    found = exchange.post("/x", b"{}", HeaderAuth("ApiKey", "sk_test"))
    exchange.close()
    assert isinstance(found, Verdict)
    return found


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def replying(listener: socket.socket, reply: bytes) -> str:
    """Answer one request with these bytes, and hang up; return the address."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(reply)

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{listener.getsockname()[1]}"


def test_each_trouble_is_a_sentence_of_its_own(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = f"127.0.0.1:{listener.getsockname()[1]}"
    with Peer(lambda _request: answer(200, {}), _tls()) as stranger:
        host = stranger.url.removeprefix("https://")
        verdicts = {
            told("http://127.0.0.1:9"): "127.0.0.1:9 refuses connections: nothing listens there",
            told("http://nowhere.invalid"): "nowhere.invalid is not found: ",
            told(f"http://{silent}", 0.05): f"{silent} gives no answer within 0.05 s",
            told(f"https://{silent}", 0.05): f"{silent} gives no answer within 0.05 s",
            told(stranger.url): f"the certificate of {host} is not trusted: ",
        }
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    refused = "the proxy on the way to api.segops.ai refuses connections: nothing listens there"
    verdicts[told("https://api.segops.ai")] = refused
    monkeypatch.setenv("HTTPS_PROXY", "foo:bar")
    verdicts[told("https://api.segops.ai")] = "the URL of the proxy is malformed: "
    for verdict, expected in verdicts.items():
        assert verdict.detail.startswith(expected)
        assert not any(each in verdict.detail for each in CHAIN), verdict.detail
        assert ": " in verdict.chain


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"", "the connection to {} broke before there was an answer"),
        (b"hello\r\n\r\n", "what {} answers is not HTTP"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
            "the connection to {} broke before there was an answer",
        ),
    ],
)
def test_an_answer_that_is_none_is_a_sentence(
    listener: socket.socket, reply: bytes, expected: str
) -> None:
    host = replying(listener, reply)
    assert told(f"http://{host}").detail == expected.format(host)


def test_a_peer_that_speaks_no_tls_is_a_sentence(listener: socket.socket) -> None:
    host = replying(listener, b"hello\r\n\r\n")
    assert told(f"https://{host}").detail.startswith(f"{host} does not speak TLS as it should: ")


def test_a_proxy_that_says_no_is_a_sentence(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = replying(listener, b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", f"http://{host}")
    expected = "the proxy on the way to api.segops.ai does not let the request through: 407"
    assert told("https://api.segops.ai").detail.startswith(expected)


def test_on_error_hears_the_sentence_and_finds_the_chain_beside_it(
    make_client: Callable[..., SegOpsClient],
) -> None:
    heard: list[Exception] = []
    client = make_client(api_url="http://127.0.0.1:9", on_error=heard.append, max_retries=0)
    client.track(user_id="u", event_type="x")
    client.flush(60)
    assert isinstance(heard[0], UnreachableError)
    assert "refuses connections" in str(heard[0])
    assert not any(each in str(heard[0]) for each in CHAIN)
    assert "NewConnectionError" in heard[0].chain
    assert not any(each in str(client.stats().last_error) for each in CHAIN)


@pytest.mark.parametrize(
    "words",
    [
        ("doctor",),
        ("drain",),
        ("track", "u", "x", "--flush", "--timeout", "1"),
        ("identify", "u", "--flush", "--timeout", "1"),
        ("drain", "--json"),
    ],
)
@pytest.mark.parametrize("where", ["", "before", "after"])
def test_the_chain_comes_with_v_only_before_a_command_or_after(
    tmp_path: Path, words: tuple[str, ...], where: str
) -> None:
    commands = Commands(tmp_path, "http://127.0.0.1:9")
    commands.env["SEGOPS_MAX_RETRIES"] = "0"
    commands("track", "u", "x")
    given = ("-v", *words) if where == "before" else (*words, "-v") if where else words
    output = commands(*given, status=1).output
    assert "127.0.0.1:9 refuses connections" in output
    assert ("NewConnectionError" in output) is bool(where)


def test_status_tells_the_sentence_and_with_v_the_chain(
    make_client: Callable[..., SegOpsClient],
    tmp_path: Path,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    commands = Commands(tmp_path, "http://127.0.0.1:9")
    client = make_client(
        api_url="http://127.0.0.1:9", queue_path=commands.queue_path, max_retries=0
    )
    client.track(user_id="u", event_type="x")
    client.flush(60)
    wait_until(lambda: (commands.json("status")["sender"] or {}).get("last_error"))
    for words in (("status",), ("status", "--json"), ("doctor",)):
        assert "refuses connections" in commands(*words, status=int("doctor" in words)).output
    assert "NewConnectionError" not in commands("status", "--json").output
    assert "NewConnectionError" in commands("status", "-v").output
