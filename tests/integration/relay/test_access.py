"""Who may speak to a relay: by Host, Origin, and where they are."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import stat
import struct
from typing import TYPE_CHECKING

import pytest
import requests

from segops_durable.relay import RelaySettings
from segops_durable.relay.access import is_near
from segops_durable.relay.listening import Listener
from support.relays import RelayProcess, RunningRelay, event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

    Wait = Callable[[Callable[[], object]], None]
    MakeRelay = Callable[..., RunningRelay]

pytestmark = pytest.mark.one_python

SHOP = "https://shop.example"
TOKEN = "a-token-of-twenty-letters"
BATCH = "/api/ingestion/track/batch/"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8788", 202),
        ("127.0.0.1", 202),
        ("[::1]:80", 202),
        ("kiosk.localhost", 202),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("", 421),
        ("192.168.1.5", 421),
    ],
)
def test_a_request_that_was_meant_for_another_host_is_refused_and_nothing_is_stored(
    relay: RunningRelay, sandbox: Sandbox, host: str, status: int
) -> None:
    sandbox.stop()
    assert relay.track(event(1), headers={"Host": host}).status_code == status
    assert relay.waiting() == (status == 202)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("Kiosk.Example.", "kiosk.example:8788"),
        ("kiosk.example", "KIOSK.EXAMPLE.:8788"),
        ("[FE80::1]", "[fe80::1]:8788"),
        ("fe80::1", "[fe80::1]"),
    ],
)
def test_a_name_that_was_allowed_is_that_name_however_it_is_written(
    make_relay: MakeRelay, name: str, host: str
) -> None:
    relay = make_relay("--allow-host", name)
    assert relay.track(event(1), headers={"Host": host}).status_code == 202
    assert relay.track(event(1), headers={"Host": f"not-{host}"}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": SHOP},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_page_of_the_web_may_not_post_unless_it_was_allowed(
    make_relay: MakeRelay, sandbox: Sandbox, headers: dict[str, str]
) -> None:
    sandbox.stop()
    relay = make_relay("--trust-local")
    answer = relay.track(event(1), key=None, headers=headers)
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers
    preflight = requests.options(
        relay.url + BATCH, headers={**headers, "Access-Control-Request-Method": "POST"}, timeout=60
    )
    assert "Access-Control-Allow-Origin" not in preflight.headers
    assert relay.waiting() == 0


def test_a_page_that_was_allowed_may_ask_first_and_then_post_and_read_the_answer(
    make_relay: MakeRelay, sandbox: Sandbox
) -> None:
    sandbox.stop()
    relay = make_relay("--allow-origin", SHOP.replace("s", "S"))  # a browser writes it small
    preflight = requests.options(
        relay.url + BATCH,
        headers={
            "Origin": SHOP,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
            "Access-Control-Request-Private-Network": "true",
        },
        timeout=60,
    )
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == SHOP
    assert preflight.headers["Access-Control-Allow-Private-Network"] == "true"
    assert preflight.headers["Access-Control-Allow-Credentials"] == "true"
    for key, status in (("sk_test", 202), ("sk_other", 401)):
        answer = relay.track(event(1), key=key, headers={"Origin": SHOP})
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP  # or it could not be read


def test_a_beacon_of_a_page_can_set_no_header_and_has_its_token_in_the_url(
    make_relay: MakeRelay, sandbox: Sandbox
) -> None:
    sandbox.stop()
    relay = make_relay("--allow-origin", SHOP, api_key="pk_test")
    opened = relay.post(
        "/api/auth/session/", {"anonymous_id": "v"}, key="pk_test", headers={"Origin": SHOP}
    )
    beacon = {"Origin": SHOP, "Content-Type": "text/plain;charset=UTF-8"}
    answer = relay.post(
        BATCH,
        key=None,
        data=json.dumps({"events": [event(1)]}),
        params={"token": opened.json()["token"]},
        headers=beacon,
    )
    assert answer.status_code == 202
    assert relay.post(BATCH, key=None, data="{}", headers=beacon).status_code == 401
    assert relay.waiting() == 1


def test_what_is_seen_from_elsewhere_needs_the_token_which_an_sdk_has_in_its_url(
    make_relay: MakeRelay, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.stop()
    relay = make_relay("--allow-remote", "--token", TOKEN, "--trust-local")
    monkeypatch.setattr("segops_durable.relay.access.is_near", lambda _scope: False)
    from_network = {"Host": "192.168.1.5:8788"}
    assert relay.track(event(1), headers=from_network).status_code == 401
    shown = {**from_network, "X-Relay-Token": TOKEN}
    assert relay.track(event(1), headers=shown).status_code == 202
    assert relay.track(event(1), key="sk_other", headers=shown).status_code == 401  # not trusted
    body = {"events": [event(1)]}
    assert relay.post(f"/t/{TOKEN}{BATCH}", body, headers=from_network).status_code == 202
    assert relay.post(f"/t/{TOKEN[:-1]}{BATCH}", body, headers=from_network).status_code == 401
    assert relay.track(event(1), headers={**shown, "Host": "evil.example"}).status_code == 421
    assert relay.waiting() == 2


@pytest.mark.parametrize(
    ("client", "is_local"),
    [
        (("127.0.0.1", 5), True),
        (("::1", 5), True),
        (("::ffff:127.0.0.1", 5), True),
        (None, False),  # of a connection that was reset already
        (("192.168.1.5", 5), False),
        (("::ffff:10.0.0.1", 5), False),
    ],
)
def test_loopback_is_of_this_machine(client: tuple[str, int] | None, is_local: bool) -> None:
    assert is_near({"client": client, "state": {"relay.is_file": False}}) is is_local


def test_who_resets_a_connection_before_it_is_taken_is_of_no_machine_that_is_trusted(
    make_process: Callable[..., RelayProcess], sandbox: Sandbox
) -> None:
    sandbox.stop()
    relay = make_process("--allow-remote", "--token", TOKEN, "--trust-local")
    host, _, port = relay.url.removeprefix("http://").rpartition(":")
    body = json.dumps({"events": [event(1)]})
    head = f"POST {BATCH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    assert relay.process is not None
    relay.process.send_signal(signal.SIGSTOP)  # so that it takes none of them before they are over
    for _ in range(5):
        peer = socket.create_connection((host, int(port)))
        peer.sendall(f"{head}{body}".encode())
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()  # with a reset
    relay.process.send_signal(signal.SIGCONT)
    assert relay.track(event(2), key=None).status_code == 202
    assert relay.waiting() == 1


def test_who_comes_through_a_proxy_on_this_machine_is_not_of_this_machine(
    make_relay: MakeRelay, sandbox: Sandbox
) -> None:
    sandbox.stop()
    relay = make_relay("--trust-local", "--token", TOKEN)
    passed_on = {"X-Forwarded-For": "203.0.113.7"}
    assert relay.track(event(1), key=None, headers=passed_on).status_code == 401
    shown = {**passed_on, "X-Relay-Token": TOKEN}
    assert relay.track(event(1), key=None, headers=shown).status_code == 401  # a key as well
    assert relay.track(event(1), headers=shown).status_code == 202


class SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def test_a_socket_that_is_a_file_serves_its_owner_alone_and_a_dead_one_gives_way(
    make_relay: MakeRelay, sandbox: Sandbox, relay_home: object
) -> None:
    sandbox.stop()
    path = f"{relay_home}/relay.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(path)
    dead.close()
    relay = make_relay("--socket", path)
    assert relay.url == f"unix:{path}"
    assert stat.S_IMODE(relay.home.joinpath("relay.sock").stat().st_mode) == 0o600
    connection = SocketConnection(path)
    body = json.dumps({"events": [event(1)]})
    connection.request("POST", BATCH, body, {"Authorization": "ApiKey sk_test"})
    assert connection.getresponse().status == 202
    connection.close()
    relay.stop()
    assert not relay.home.joinpath("relay.sock").exists()


def test_the_file_of_a_relay_that_ends_is_free_for_the_next_one_which_keeps_it(
    make_relay: MakeRelay, sandbox: Sandbox, relay_home: Path, wait_until: Wait
) -> None:
    sandbox.stop()
    path = relay_home / "relay.sock"
    relay = make_relay("--socket", str(path))
    body = json.dumps({"events": [event(1)]}).encode()
    head = (
        f"POST {BATCH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ApiKey sk_test\r\n"
        f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.socket(socket.AF_UNIX) as peer, socket.socket(socket.AF_UNIX) as next_one:
        peer.connect(str(path))
        peer.sendall(head.encode())
        assert peer.recv(12) == b"HTTP/1.1 100"  # so it was let in
        relay.ask_to_end()
        wait_until(lambda: not path.exists())  # it takes no more, and serves whom it has
        next_one.bind(str(path))
        peer.sendall(body)
        assert b" 202 " in peer.makefile("rb").read()
        relay.stop()
        assert path.exists()


def test_the_file_of_another_is_not_removed(make_relay: MakeRelay, relay_home: Path) -> None:
    path = relay_home / "relay.sock"
    relay = make_relay("--socket", str(path))
    path.unlink()
    with socket.socket(socket.AF_UNIX) as another:
        another.bind(str(path))
        relay.stop()
        assert path.exists()


@pytest.mark.parametrize(
    ("name", "problem"),
    [("x" * 200, "path too long"), ("taken", "in use"), ("no/such/directory", "No such file")],
)
def test_where_it_cannot_listen_it_says_where_and_why(
    tmp_path: Path, name: str, problem: str
) -> None:
    (tmp_path / "taken").write_text("of somebody else")
    with pytest.raises(OSError, match=f"cannot listen on .*{name}: .*{problem}") as caught:
        Listener(RelaySettings(socket=tmp_path / name))
    assert "None" not in str(caught.value)
    assert (tmp_path / "taken").read_text() == "of somebody else"
