"""A relay as a service: its signals, its manager, its sockets."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.events import numbers
from support.relays import event
from support.systemd import RELAY, Service, Systemd, service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

    Wait = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.one_python

BATCH = "/api/ingestion/track/batch/"

ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"] = "1", str(os.getpid())
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


EARLY = """
import importlib, os, signal, sys
from segops_durable.cli.start import main

command = importlib.import_module(f"segops_durable.cli.commands.{os.environ['COMMAND']}")
set_up = command.set_up

def set_up_and_be_told(form):
    os.kill(os.getpid(), signal.SIGHUP)
    set_up(form)

command.set_up = set_up_and_be_told
main()
"""


class Callers:
    """Threads that post to a relay, and know what was answered with 202, and with what else.

    Args:
        url: Of the relay.
        keys: Of each caller, one.
    """

    def __init__(self, url: str, *keys: str) -> None:
        self.accepted: list[int] = []
        self.refused: list[int] = []
        self._over = threading.Event()
        self._url = url
        self._threads = [
            threading.Thread(target=self._post, args=(number, key))
            for number, key in enumerate(keys)
        ]
        for each in self._threads:
            each.start()

    def _post(self, number: int, key: str) -> None:
        next_one = number * 1_000_000
        with requests.Session() as session:
            session.headers["Authorization"] = f"ApiKey {key}"
            while not self._over.is_set():
                numbers = [next_one, next_one + 1]
                next_one += 2
                try:
                    body = {"events": [event(each) for each in numbers]}
                    answer = session.post(self._url + BATCH, json=body, timeout=60)
                except requests.ConnectionError:
                    return  # it is gone
                if answer.status_code == 202:
                    self.accepted += numbers
                else:
                    self.refused.append(answer.status_code)

    def end(self) -> None:
        self._over.set()
        for each in self._threads:
            each.join(60)


def stored(queue_path: Path) -> list[int]:
    """The numbers of the events that are on the disk."""
    with closing(sqlite3.connect(queue_path)) as connection:
        rows = connection.execute("SELECT data FROM queue_outbox")
        return [json.loads(bytes(row[0]))["payload"]["n"] for row in rows]


def test_a_sigterm_under_load_leaves_each_202_on_the_disk_or_with_segops(
    started: Callable[..., Any],
    sandbox: Sandbox,
    queue_path: Path,
    systemd: Systemd,
    wait_until: Wait,
) -> None:
    sandbox.stop()  # so that what was answered has to be on the disk
    with started(more={"SEGOPS_SHUTDOWN_TIMEOUT": "1"}) as (relay, url):
        callers = Callers(url, *["sk_test"] * 4)
        wait_until(lambda: len(callers.accepted) > 100)
        assert relay.stop() == 0  # it has a minute, which is many times its bound
        callers.end()
    systemd.wait_for_line("STOPPING=1")
    assert {503} >= {*callers.refused}
    assert {*callers.accepted} <= {*stored(queue_path)}
    events = [json.loads(line)["event"] for line in relay.log.splitlines()]
    assert events[0] == "start"
    assert [each for each in events if each in {"stopping", "stop"}] == ["stopping", "stop"]
    assert len(events) < 10  # and not one a request
    sandbox.start()


def test_a_sighup_with_a_new_key_under_load_loses_and_refuses_no_request(
    started: Callable[..., Any],
    tmp_path: Path,
    sandbox: Sandbox,
    systemd: Systemd,
    wait_until: Wait,
) -> None:
    settings = tmp_path / "segops.toml"
    settings.write_text('api_key = "sk_test"\n')
    flags = (*RELAY, "--config", str(settings))

    def rotate(relay: Service, api_key: str) -> None:
        settings.write_text(f'api_key = "{api_key}"\n')
        relay.signal(signal.SIGHUP)
        systemd.wait_for(lambda said: said.startswith("RELOADING=1\nMONOTONIC_USEC="))
        systemd.wait_for_line("READY=1")

    with started(flags, {"SEGOPS_API_KEY": ""}) as (relay, url):
        callers = Callers(url, *["sk_test"] * 4)  # who know nothing of it
        wait_until(lambda: len(callers.accepted) > 50)
        rotate(relay, "sk_new")
        sandbox.configure(revoked_keys=["sk_test"])
        before = len(callers.accepted)
        wait_until(lambda: len(callers.accepted) > before + 50)
        callers.end()
        newer = Callers(url, "sk_new", "sk_test")
        wait_until(lambda: len(newer.accepted) > 50)
        newer.end()
        assert callers.refused == newer.refused == []
        wait_until(lambda: {*callers.accepted, *newer.accepted} <= {*numbers(sandbox)})
        rotate(relay, "sk_newer")
        older = Callers(url, "sk_test")
        wait_until(lambda: older.refused)
        older.end()
        assert {*older.refused} == {401}  # one key before is taken, and no older one
        assert relay.stop() == 0
    assert '"key_changed": true' in relay.log


@pytest.mark.parametrize(
    ("name", "flags"), [("relay", RELAY[2:]), ("run_", ("run", "--log-format", "json"))]
)
def test_a_sighup_while_it_only_begins_is_heard_once_it_serves(
    tmp_path: Path, systemd: Systemd, name: str, flags: tuple[str, ...]
) -> None:
    environ = {
        "SEGOPS_API_URL": "http://127.0.0.1:9",
        "SEGOPS_API_KEY": "sk_test",
        "SEGOPS_QUEUE_PATH": str(tmp_path / "outbox.db"),
        "SEGOPS_SHUTDOWN_TIMEOUT": "0",
        "NOTIFY_SOCKET": systemd.address,
        "COMMAND": name,
    }
    with service(tmp_path, ("-c", EARLY, *flags), environ) as started:
        systemd.wait_for_line("READY=1")
        systemd.wait_for(lambda said: said.startswith("RELOADING=1"))
        systemd.wait_for_line("READY=1")
        assert started.stop() == 0
    assert "the key is the same" in started.log


def test_settings_that_cannot_be_used_change_nothing_and_the_next_ones_are_heard(
    started: Callable[..., Any], tmp_path: Path, systemd: Systemd
) -> None:
    settings = tmp_path / "segops.toml"
    settings.write_text('api_key = "sk_test"\n')

    def answer(api_key: str) -> int:
        headers = {"Authorization": f"ApiKey {api_key}"}
        return requests.post(
            url + BATCH, json={"events": [event(1)]}, headers=headers, timeout=60
        ).status_code

    broken = ["[relay]\nsign_url = 5", '[relay]\nsign_url = "https://["', "[relay]\ntoken = 5", "="]
    with started((*RELAY, "--config", str(settings)), {"SEGOPS_API_KEY": ""}) as (relay, url):
        for each in broken:
            settings.write_text(f'api_key = "sk_new"\n{each}\n')
            relay.signal(signal.SIGHUP)
            systemd.wait_for(lambda said: said.startswith("RELOADING=1"))
            systemd.wait_for_line("READY=1")
            assert (answer("sk_test"), answer("sk_new")) == (202, 401)
        settings.write_text('api_key = "sk_new"\n')
        relay.signal(signal.SIGHUP)
        systemd.wait_for(lambda said: said.startswith("RELOADING=1"))
        systemd.wait_for_line("READY=1")
        assert answer("sk_new") == 202
        assert relay.stop() == 0
    assert relay.log.count("all stays as it was") == len(broken)


def test_it_serves_a_socket_that_was_handed_to_it(
    started: Callable[..., Any], sandbox: Sandbox, wait_until: Wait
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        command = ("-c", ACTIVATED, str(number), *RELAY)
        with started(command, pass_fds=[number]) as (relay, url):
            assert url == f"http://127.0.0.1:{listener.getsockname()[1]}"
            listener.close()  # what is left is the relay's
            callers = Callers(url, "sk_test")
            wait_until(lambda: len(callers.accepted) > 10)
            callers.end()
            assert relay.stop() == 0
    assert {*callers.accepted} == {*numbers(sandbox)}


def test_a_file_that_was_handed_to_it_is_served_and_stays_whatever_the_settings_name(
    started: Callable[..., Any], tmp_path: Path
) -> None:
    path = str(tmp_path / "handed.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        for flags in ((), ("--socket", path)):
            command = ("-c", ACTIVATED, str(listener.fileno()), *RELAY, *flags)
            with started(command, pass_fds=[listener.fileno()]) as (relay, url):
                assert url == f"unix:{path}"
                with socket.socket(socket.AF_UNIX) as peer:
                    peer.connect(path)
                    peer.sendall(b"GET /health HTTP/1.1\r\nHost: relay.of.segops\r\n\r\n")
                    assert peer.recv(12) == b"HTTP/1.1 200"
                assert relay.stop() == 0
            assert (tmp_path / "handed.sock").exists()


def test_an_address_that_was_handed_to_it_is_no_file_though_the_settings_name_one(
    started: Callable[..., Any], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        flags = ("--socket", str(tmp_path / "named.sock"))
        command = ("-c", ACTIVATED, str(listener.fileno()), *RELAY, *flags)
        with started(command, pass_fds=[listener.fileno()]) as (_, url):
            foreign = {"Host": "evil.example"}
            assert requests.get(url + "/metrics", headers=foreign, timeout=60).status_code == 421
            assert requests.get(url + "/metrics", timeout=60).status_code == 200


def test_callers_wait_while_it_is_started_anew_behind_a_socket_that_was_handed_to_it(
    started: Callable[..., Any], sandbox: Sandbox, wait_until: Wait
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # as a service manager keeps it
        command = ("-c", ACTIVATED, str(listener.fileno()), *RELAY)
        with started(command, pass_fds=[listener.fileno()]) as (relay, _):
            assert relay.stop() == 0
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        waiting = Callers(url, "sk_test")  # nobody answers yet
        with started(command, pass_fds=[listener.fileno()]) as (relay, _):
            wait_until(lambda: waiting.accepted)
            waiting.end()
            assert relay.stop() == 0
    assert waiting.refused == []
    assert {*waiting.accepted} == {*numbers(sandbox)}


def test_a_descriptor_that_listens_for_nothing_is_refused_with_what_to_do(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    environ = {"SEGOPS_API_URL": "http://127.0.0.1:9", "SEGOPS_API_KEY": "sk_test"}
    command = ("-c", ACTIVATED, str(theirs.fileno()), *RELAY)
    with ours, theirs, service(tmp_path, command, environ, pass_fds=[theirs.fileno()]) as relay:
        assert relay.process.wait(60) == 2
    assert "The unit is to have ListenStream=" in relay.log
