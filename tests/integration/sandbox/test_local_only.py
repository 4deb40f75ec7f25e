"""Pages of the web cannot use the sandbox of a developer whose browser they run in."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import requests

from segops_durable.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.one_python

TRACK = "/api/ingestion/track/"
EVENT = b'{"user_id": "u-1", "event_type": "page_viewed"}'


def status(sandbox: Sandbox, path: str, headers: dict[str, str], method: str = "POST") -> int:
    port = sandbox.url.rpartition(":")[2]
    return requests.request(
        method,
        f"http://127.0.0.1:{port}{path}",
        data=EVENT if method == "POST" else None,
        headers={"Authorization": "ApiKey sk_test", **headers},
        timeout=10,
    ).status_code


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8787",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "evil.example#localhost",
        "evil.example/localhost",
        "localhost evil.example",
        "192.168.1.5:8787",
        "0.0.0.0",
        "[2001:db8::1]:8787",
        "[::1]evil.example",
        "sandbox",
        "",
    ],
)
def test_a_host_that_is_not_loopback_is_refused(host: str, sandbox: Sandbox) -> None:
    assert status(sandbox, TRACK, {"Host": host}) == 421
    assert status(sandbox, "/_sandbox/events", {"Host": host}, "GET") == 421
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:1",
        "localhost.",
        "a.localhost:80",
        "127.9.9.9",
        "[::1]:8787",
        "[::1]",
    ],
)
def test_every_name_of_loopback_is_taken(host: str, sandbox: Sandbox) -> None:
    assert status(sandbox, TRACK, {"Host": host}) == 202


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://evil.example:8787",
        "null",
        "",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "file://",
        "file://localhost",
        "chrome-extension://localhost",
        "http://192.168.1.5",
        "http://localhost http://evil.example",
    ],
)
def test_a_page_of_elsewhere_is_refused_and_changes_nothing(origin: str, sandbox: Sandbox) -> None:
    assert status(sandbox, TRACK, {}) == 202
    forged = {"Origin": origin, "Content-Type": "text/plain"}
    assert status(sandbox, TRACK, forged) == 403
    for path in ("/_sandbox/reset", "/_sandbox/faults", "/_sandbox/settings"):
        assert status(sandbox, path, forged) == 403
    assert len(sandbox.events()) == 1


def test_a_page_of_elsewhere_is_known_by_what_the_browser_says_of_its_site(
    sandbox: Sandbox,
) -> None:
    said = [{"Sec-Fetch-Site": each} for each in ("cross-site", "same-origin", "none")]
    assert [status(sandbox, "/_sandbox/events", each, "GET") for each in said] == [403, 200, 200]


def test_a_page_of_this_machine_may_use_it(sandbox: Sandbox) -> None:
    for origin in ("http://localhost:3000", "https://127.0.0.1", "http://[::1]:5173"):
        assert status(sandbox, TRACK, {"Origin": origin, "Sec-Fetch-Site": "cross-site"}) == 202


def test_two_hosts_or_none_are_refused(sandbox: Sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    for hosts in (b"", b"Host: localhost\r\nHost: evil.example\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
            peer.sendall(b"GET /_sandbox/events HTTP/1.0\r\n" + hosts + b"\r\n")
            answer = peer.makefile("rb").readline().split()[1]
        assert answer in {b"400", b"421"}


@pytest.fixture
def open_sandbox() -> Iterator[Sandbox]:
    with Sandbox(host="0.0.0.0") as running:
        yield running


def test_where_others_were_meant_to_come_they_may_and_pages_still_may_not(
    open_sandbox: Sandbox,
) -> None:
    for host in (
        "192.168.1.5:8787",
        "host.docker.internal:8787",
        "sandbox:8787",
        "localhost",
        "[2001:db8::1]",
    ):
        assert status(open_sandbox, TRACK, {"Host": host}) == 202
        page = {"Host": host, "Origin": f"http://{host}"}
        assert status(open_sandbox, TRACK, page) == 202
    assert status(open_sandbox, TRACK, {"Host": "evil.example"}) == 421
    for origin in ("http://evil.example", "http://203.0.113.5", "http://sandbox", "null"):
        page = {"Host": "192.168.1.5:8787", "Origin": origin}
        assert status(open_sandbox, TRACK, page) == 403
