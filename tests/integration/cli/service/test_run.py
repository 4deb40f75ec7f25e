"""`segops-durable run`: a sender that stands by itself."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from support.beside import beside
from support.events import numbers
from support.systemd import Systemd, service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

    Wait = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.one_python

RUN = ("-m", "segops_durable", "run", "--log-format", "json")
PROCESSES, EACH = 8, 40

HANGS = """
import sys
from segops_durable.cli.service.logs import set_up
from segops_durable.cli.service.manager import Manager
from segops_durable.cli.service.sending import send_until_told
from segops_durable.client import options_from_env
from segops_durable.system import pulse

def may_send():
    for line in sys.stdin:  # until it is told to go on
        if line == "hang\\n":
            print("hangs", flush=True)
        else:
            return True

pulse.CALLBACK_SECONDS = 0.5
set_up("json")
send_until_told(options_from_env(may_send=may_send), Manager())
"""


@pytest.fixture
def environ(sandbox: Sandbox, queue_path: Path, systemd: Systemd) -> dict[str, str]:
    return {
        "SEGOPS_API_URL": sandbox.url,
        "SEGOPS_API_KEY": "sk_test",
        "SEGOPS_QUEUE_PATH": str(queue_path),
        "SEGOPS_FLUSH_INTERVAL": "0.05",
        "SEGOPS_SENDS": "no",  # as its workers have it
        "NOTIFY_SOCKET": systemd.address,
    }


@pytest.mark.long
def test_it_delivers_what_eight_processes_append_and_do_not_send(
    tmp_path: Path, sandbox: Sandbox, environ: dict[str, str], queue_path: Path, systemd: Systemd
) -> None:
    with service(tmp_path, RUN, environ) as sender, ExitStack() as at_end:
        systemd.wait_for_line("READY=1")
        workers = [
            at_end.enter_context(beside(sandbox.url, queue_path, sends=False, flush_interval=0.05))
            for _ in range(PROCESSES)
        ]
        for number, each in enumerate(workers):
            each.tell("track", number * EACH, EACH)
        for each in workers:
            each.answer()
            assert each.ask("state") == "standby"
            each.tell("flush", 60)
        assert [each.answer() for each in workers] == [True] * PROCESSES
        assert sorted(numbers(sandbox)) == [*range(PROCESSES * EACH)]
        assert sender.stop() == 0
    systemd.wait_for_line("STOPPING=1")
    events = [json.loads(line)["event"] for line in sender.log.splitlines()]
    assert events == ["start", "stop"]


@pytest.mark.long
def test_a_sigterm_while_others_append_loses_nothing(
    tmp_path: Path,
    sandbox: Sandbox,
    environ: dict[str, str],
    queue_path: Path,
    systemd: Systemd,
    wait_until: Wait,
) -> None:
    with ExitStack() as at_end:
        workers = [
            at_end.enter_context(beside(sandbox.url, queue_path, sends=False, flush_interval=0.05))
            for _ in range(2)
        ]
        with service(tmp_path, RUN, environ) as sender:
            systemd.wait_for_line("READY=1")
            for number, each in enumerate(workers):
                each.tell("track", number * 300, 300)
            wait_until(lambda: numbers(sandbox))
            assert sender.stop() in {0, 1}  # as more had come meanwhile, or not
        for each in workers:
            each.answer()
        with service(tmp_path, RUN, environ) as sender:
            wait_until(lambda: {*numbers(sandbox)} >= {*range(600)})
            assert sender.stop() == 0


def test_it_ends_with_status_1_where_something_is_left_and_makes_one_last_effort_before(
    tmp_path: Path,
    sandbox: Sandbox,
    environ: dict[str, str],
    make_client: Callable[..., SegOpsClient],
    systemd: Systemd,
) -> None:
    environ["SEGOPS_FLUSH_INTERVAL"] = "3600"  # nothing but the last effort sends
    appending = make_client(sends=False)
    last: dict[str, Any] = {}
    for expected, timeout in (0, "60"), (1, "0.5"):
        with service(tmp_path, [*RUN, "--timeout", timeout], environ) as sender:
            systemd.wait_for_line("READY=1")
            appending.track(user_id="u", event_type="e", payload={"n": expected})
            if expected:
                sandbox.stop()
            assert sender.stop() == expected
            last = json.loads(sender.log.splitlines()[-1])
    sandbox.start()
    assert numbers(sandbox) == [0]
    assert appending.stats().pending == 1
    assert last["waiting"] == 1


def test_it_waits_for_the_place_of_another_that_sends(
    tmp_path: Path, sandbox: Sandbox, environ: dict[str, str], queue_path: Path, systemd: Systemd
) -> None:
    with beside(sandbox.url, queue_path, flush_interval=0.05) as first:
        first.ask("become_sender")
        with service(tmp_path, RUN, {**environ, "WATCHDOG_USEC": "100000"}) as sender:
            systemd.wait_for_line("READY=1")
            systemd.wait_for_line("STATUS=0 wait; standby")
            first.kill()
            systemd.wait_for_line("STATUS=0 wait")
            assert sender.stop() == 0


def test_it_says_how_it_is_and_feeds_the_watchdog_only_while_its_sender_gets_on(
    tmp_path: Path, environ: dict[str, str], systemd: Systemd
) -> None:
    """What hangs is a callable; whoever asks sees the process live, and its main thread too."""
    environ |= {"WATCHDOG_USEC": "100000", "SEGOPS_SENDS": "yes"}
    with service(tmp_path, ["-c", HANGS], environ) as sender:
        stdin = sender.process.stdin
        assert stdin is not None

        def tell(word: str) -> None:
            stdin.write(word + "\n")
            stdin.flush()

        for _ in range(3):
            tell("go on")
        systemd.wait_for_line("READY=1")
        systemd.wait_for_line("WATCHDOG=1")
        tell("hang")
        assert sender.line() == "hangs"
        for _ in range(3):
            systemd.wait_for(lambda said: "The sender hangs" in said)
        began = len(systemd.heard)
        systemd.wait_for(lambda said: "The sender hangs" in said)
        tell("go on")
        systemd.wait_for_line("WATCHDOG=1")
        hung = [said for said in systemd.heard if "hangs" in said]
        first = systemd.heard.index(hung[0])
        last = systemd.heard.index(hung[-1])
        assert began > first
        assert "WATCHDOG=1" not in systemd.heard[first:last]
    assert '"state": "failed"' in sender.log


def test_a_sighup_has_it_use_a_new_key_and_say_what_needs_a_restart(
    tmp_path: Path,
    sandbox: Sandbox,
    environ: dict[str, str],
    make_client: Callable[..., SegOpsClient],
    systemd: Systemd,
) -> None:
    del environ["SEGOPS_API_KEY"]
    environ["WATCHDOG_USEC"] = "300000"  # it looks more often then
    settings = tmp_path / "segops.toml"
    settings.write_text('api_key = "sk_test"\n')
    appending = make_client(sends=False)
    with service(tmp_path, [*RUN, "--config", str(settings)], environ) as sender:
        systemd.wait_for_line("READY=1")
        sandbox.configure(revoked_keys=["sk_test"])
        appending.track(user_id="u", event_type="e", payload={"n": 1})
        systemd.wait_for_line("STATUS=1 wait; unauthorised")
        settings.write_text('api_key = "sk_new"\nbatch_size = 50\n')
        sender.signal(signal.SIGHUP)
        said = systemd.wait_for(lambda said: said.startswith("RELOADING=1\nMONOTONIC_USEC="))
        assert said.partition("MONOTONIC_USEC=")[2].isdecimal()
        systemd.wait_for_line("READY=1")
        assert appending.flush(60).ok
        settings.write_text("api_key = 3")
        sender.signal(signal.SIGHUP)
        systemd.wait_for_line("READY=1")
        assert sender.stop() == 0
    assert numbers(sandbox) == [1]
    lines = [json.loads(line) for line in sender.log.splitlines()]
    reloads = [line for line in lines if line["event"] == "reload"]
    assert [line["key_changed"] for line in reloads] == [True, False]
    assert reloads[0]["needs_restart"] == ["batch_size"]
    assert "all stays as it was" in reloads[1]["message"]
    assert [line["kind"] for line in lines if line["event"] == "error"] == ["CredentialsError"]
    assert "sk_test" not in sender.log
    assert "sk_new" not in sender.log


@pytest.mark.skipif(not os.path.exists("/proc/net/unix"), reason="no abstract names")  # noqa: PTH110
def test_a_manager_at_an_abstract_name_is_told_as_well(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    manager = Systemd(f"@segops-test-{os.getpid()}")
    with service(tmp_path, RUN, {**environ, "NOTIFY_SOCKET": manager.address}) as sender:
        manager.wait_for_line("READY=1")
        assert sender.stop() == 0
    manager.close()
