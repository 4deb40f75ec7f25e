"""The command `relay`: its settings, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from segops_durable.cli.commands import run
from segops_durable.client.environment import mistyped_variables
from segops_durable.relay import Relay
from support.relays import RelayProcess, event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox
    from support.commands import Commands

pytestmark = pytest.mark.one_python


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Relay]:
    """The relays that are made, none of which runs."""
    found: list[Relay] = []

    def run_not(self: Relay, *_given: Any) -> Any:
        found.append(self)
        raise OSError(98, "cannot listen")

    monkeypatch.setattr(Relay, "run", run_not)
    return found


def test_options_go_before_the_environment_and_that_before_the_file(
    commands: Commands, seen: list[Relay], tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        "max_event_bytes = 1000\n[relay]\nlisten = '127.0.0.1:1'\nbody_timeout = 7\n"
        "max_body_bytes = 5\nallow_origin = ['https://a.example', 'https://b.example']\n"
        "trust_local = true\n"
    )
    commands.env["SEGOPS_RELAY_LISTEN"] = "127.0.0.1:2"
    commands.env["SEGOPS_RELAY_MAX_BODY_BYTES"] = "6"
    commands("relay", "--config", str(file), "--listen", "127.0.0.1:3", status=1)
    (relay,) = seen
    settings = relay.settings
    assert (settings.listen, settings.max_body_bytes, settings.body_timeout) == (
        "127.0.0.1:3",
        6,
        7,
    )
    assert settings.allow_origins == ("https://a.example", "https://b.example")
    assert settings.trust_local
    assert relay.client.options.max_event_bytes == 1000


def test_what_is_wrong_is_wrong_usage(
    commands: Commands, seen: list[Relay], tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[relay]\nlissten = 'x'\n")
    words = commands("relay", "--config", str(file), status=2).output
    assert "[relay] has a setting that there is not, got 'lissten'" in words
    assert (
        "listen must be an address" in commands("relay", "--listen", "0.0.0.0:1", status=2).output
    )
    assert seen == []


def test_a_place_that_is_taken_is_told(commands: Commands) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        words = commands("relay", "--listen", where, status=1).output
    assert f"cannot listen on {where}: Address already in use" in words


def test_no_variable_of_a_relay_is_taken_for_a_mistyped_one() -> None:
    (command,) = (each for name, each in run.commands.items() if name == "relay")
    variables = [str(each.envvar) for each in command.params if each.envvar]
    assert len(variables) > 10
    assert mistyped_variables(dict.fromkeys(variables, "x")) == {}


def test_the_other_commands_take_a_file_that_has_settings_of_a_relay(
    commands: Commands, tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[relay]\nlisten = '127.0.0.1:1'\n")
    commands("config", "--config", str(file))


def test_a_sigterm_lets_a_request_be_answered_that_had_come_and_sends_what_waits(
    sandbox: Sandbox, tmp_path: Path, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    with RelayProcess(sandbox.url, tmp_path, environ={"SEGOPS_FLUSH_INTERVAL": "600"}) as relay:
        assert relay.track(event(1)).status_code == 202
        body = json.dumps({"events": [event(2)]}).encode()
        host, _, port = relay.url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as peer:
            head = "POST /api/ingestion/track/batch/ HTTP/1.1\r\nHost: localhost\r\n"
            head += f"Authorization: ApiKey sk_test\r\nContent-Length: {len(body)}\r\n"
            peer.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
            assert peer.recv(1000).startswith(b"HTTP/1.1 100 ")  # it waits for the body
            statuses: list[int] = []
            ending = threading.Thread(target=lambda: statuses.append(relay.stop()))
            ending.start()
            wait_until(lambda: not _listens(host, int(port)))
            peer.sendall(body)
            assert peer.recv(1000).startswith(b"HTTP/1.1 202 ")
        ending.join(60)
        assert statuses == [0]
    wait_until(lambda: len(sandbox.events()) == 2)
    assert "0 wait" in relay.log


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def test_the_help_is_there_without_the_extra() -> None:
    assert "SEGOPS_RELAY_LISTEN" in CliRunner().invoke(run, ["relay", "--help"]).output


def test_a_socket_that_a_killed_relay_has_left_is_replaced(
    sandbox: Sandbox, tmp_path: Path, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    path = tmp_path / "relay.sock"
    with RelayProcess(sandbox.url, tmp_path, ("--socket", str(path))) as relay:
        relay.kill()
        assert path.is_socket()
        relay.start()
        assert relay.url == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert post_over(path) == 202
        wait_until(lambda: len(sandbox.events()) == 1)
        assert relay.stop() == 0
        assert not path.exists()


def test_a_socket_that_another_relay_listens_on_is_left_to_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "relay.sock"
    (tmp_path / "other").mkdir()
    with RelayProcess(sandbox.url, tmp_path, ("--socket", str(path))):
        number = path.stat().st_ino
        status, words = refused(sandbox, tmp_path / "other", path)
        assert (status, f"cannot listen on {path}: Address already in use" in words) == (1, True)
        assert path.stat().st_ino == number
        assert post_over(path) == 202


def test_what_is_at_the_place_of_a_socket_and_is_none_is_left_alone(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    path.write_text("kept")
    status, words = refused(sandbox, tmp_path, path)
    assert (status, f"cannot listen on {path}" in words) == (1, True)
    assert path.read_text() == "kept"


def refused(sandbox: Sandbox, home: Path, path: Path) -> tuple[int, str]:
    """Start a relay that cannot listen; give its status and what it says."""
    environ = {name: value for name, value in os.environ.items() if "SEGOPS" not in name}
    own = {
        "SEGOPS_API_URL": sandbox.url,
        "SEGOPS_API_KEY": "sk_test",
        "SEGOPS_QUEUE_PATH": str(home / "outbox.db"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "segops_durable", "relay", "--socket", str(path)],
        env={**environ, **own},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stderr


def post_over(path: Path) -> int:
    body = json.dumps({"events": [event(1)]})
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    headers = {"Authorization": "ApiKey sk_test"}
    connection.request("POST", "/api/ingestion/track/batch/", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status
