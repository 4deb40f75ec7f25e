"""How it stands: for people, for programs and for Prometheus."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from segops_durable.outbox import Outbox
from support.events import leave, numbered

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox
    from support.commands import Commands

pytestmark = pytest.mark.one_python


def test_status_is_a_health_check(commands: Commands, sandbox: Sandbox) -> None:
    sandbox.stop()
    for _ in range(3):
        commands("track", "ann", "x")
    assert "3" in commands("status").stdout
    commands("status", "--max-waiting", "3", "--max-age", "3600")
    output = commands("status", "--max-waiting", "2", "--max-age", "0", status=1).output
    assert "3 events wait, 2 allowed" in output
    assert "The oldest event has waited" in output
    found = commands.json("status")
    assert (found["waiting"], found["dead"], found["sender"]) == (3, 0, None)


def test_status_says_who_sends_and_how_it_goes(
    commands: Commands,
    sandbox: Sandbox,
    make_client: Callable[..., SegOpsClient],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    sandbox.configure(revoked_keys=["sk_test"])
    client = make_client(queue_path=commands.queue_path)
    client.track(numbered(1)[0])
    client.flush(timeout=60)
    wait_until(lambda: commands.json("status")["sender"].get("last_error"))
    sender = commands.json("status")["sender"]
    assert (sender["pid"], sender["state"]) == (os.getpid(), "unauthorised")
    assert "revoked" in sender["last_error"]
    assert "revoked" in commands("status").stdout
    leave(client)
    assert commands.json("status")["sender"] is None


def test_prometheus_can_read_what_status_writes(commands: Commands, sandbox: Sandbox) -> None:
    sandbox.stop()
    commands("track", "ann", "x")
    text = commands("status", "--format", "prometheus").stdout
    samples = {}
    helped, typed = set(), {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split()[2])
        elif line.startswith("# TYPE "):
            typed[line.split()[2]] = line.split()[3]
        else:
            name, _, value = line.rpartition(" ")
            samples[name] = float(value)
    assert helped == set(typed) == {name.partition("{")[0] for name in samples}
    for name, kind in typed.items():
        assert (kind == "counter") == name.endswith("_total"), name
    label = f'{{outbox="{commands.queue_path}"}}'
    assert samples[f"segops_outbox_waiting_events{label}"] == 1
    assert samples[f'segops_outbox_sender_state{label[:-1]},state="closed"}}'] == 1
    assert sum(value for name, value in samples.items() if "_state{" in name) == 1


def test_prometheus_own_parser_takes_what_status_writes(
    commands: Commands, sandbox: Sandbox
) -> None:
    sandbox.stop()
    commands("track", "ann", "x")
    text = commands("status", "--format", "prometheus").stdout
    families = {each.name: each for each in text_string_to_metric_families(text)}
    kinds = {name: family.type for name, family in families.items()}
    assert kinds["segops_outbox_waiting_events"] == "gauge"
    assert kinds["segops_outbox_accepted_events"] == "counter"
    assert "unknown" not in kinds.values()
    for name, family in families.items():
        assert family.documentation, name
        assert {sample.labels["outbox"] for sample in family.samples} == {str(commands.queue_path)}
    (waiting,) = families["segops_outbox_waiting_events"].samples
    assert waiting.value == 1
    assert "# EOF" not in text  # which would claim that it is OpenMetrics


def test_a_look_at_the_outbox_leaves_the_rotation_of_keys_to_clients(commands: Commands) -> None:
    commands("track", "ann", "x")
    before = Outbox(
        commands.queue_path, api_url=commands.env["SEGOPS_API_URL"], key_fingerprint="another"
    )
    before.close()
    commands("status")
    with closing(sqlite3.connect(commands.queue_path)) as file:
        (found,) = file.execute("SELECT value FROM meta WHERE name = 'key'").fetchone()
    assert found == "another"


def test_watch_shows_the_status_again_and_again(commands: Commands) -> None:
    commands("track", "ann", "x")
    command = [sys.executable, "-m", "segops_durable", "status", "--watch"]
    with subprocess.Popen(
        command, env={**os.environ, **commands.env}, stdout=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        shown = [line for line, _ in zip(watching.stdout, range(20), strict=False)]
        watching.kill()
    assert len([line for line in shown if line.startswith("waiting")]) == 2
