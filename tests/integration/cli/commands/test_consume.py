"""`consume`: what a topic of Kafka has arrives, wherever it is ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.kafka import TOPIC, Broker, clicks
from support.kafka_broker import library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable.sandbox import Sandbox
    from support.commands import Commands

pytestmark = pytest.mark.one_python


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker with a topic of two partitions."""
    if library() is None:
        pytest.skip("there is no mock broker in this build")
    found = Broker()
    found.create()
    yield found
    found.close()


@contextmanager
def running(commands: Commands, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "segops_durable.cli", "consume", *words],
        env={**os.environ, **commands.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def numbers(sandbox: Sandbox) -> list[int]:
    return sorted(row["event"]["payload"]["n"] for row in sandbox.events())


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_and_the_same_command_goes_on(
    commands: Commands,
    sandbox: Sandbox,
    broker: Broker,
    number: signal.Signals,
) -> None:
    words = ["--brokers", broker.servers, "--topic", TOPIC, "--max-queue-events", "600", "--json"]
    broker.produce(clicks(range(1000)))
    broker.produce(clicks(range(1000, 2000)), partition=1)
    sandbox.faults(delay=30)
    with running(commands, *words) as process:
        assert sandbox.wait_for_request(60)  # it is in the midst of both
        process.send_signal(number)
        out, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    first = json.loads(out)
    assert 0 < first["stored"] <= 600
    sandbox.faults()
    second = json.loads(commands("consume", *words, "--until-end").stdout)
    assert first["stored"] + second["stored"] == 2000
    assert second["waiting"] == 0
    assert sorted(set(numbers(sandbox))) == list(range(2000))
    assert sandbox.summary()["conflicting_keys"] == 0


def test_a_service_that_has_sent_all_and_is_ended_sends_nothing_twice(
    commands: Commands, sandbox: Sandbox, broker: Broker, wait_until: Callable[..., None]
) -> None:
    words = ["--brokers", broker.servers, "--topic", TOPIC, "--group", "segops"]
    for part in range(2):
        broker.produce(clicks(range(part * 100, part * 100 + 100)), partition=part)
        with running(commands, *words, "--rejects", str(commands.home / "bad.jsonl")) as process:
            wait_until(lambda part=part: len(numbers(sandbox)) == part * 100 + 100)
            wait_until(lambda: commands.waiting() == 0)  # it has heard the answers
            process.terminate()
            _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert "100 stored, 0 rejected" in said
        assert "100 sent, 0 wait" in said
    assert numbers(sandbox) == list(range(200))


def test_messages_that_are_no_events_stop_it_or_go_into_a_file(
    commands: Commands, sandbox: Sandbox, broker: Broker
) -> None:
    broker.produce(
        [{"user": "u-1", "n": 0}, b"bad", {"user": "u-1", "n": 2}], headers=[("t", b"clicked")]
    )
    words = ["consume", "--brokers", broker.servers, "--topic", TOPIC, "--until-end"]
    words += ["--map", "user_id=user", "--map", "event_type=kafka.header.t"]
    assert "clicks [0], offset 1: " in commands(*words, status=1).stderr
    rejects = commands.home / "bad.jsonl"
    said = commands(*words, "--rejects", str(rejects), status=1).stderr
    assert "1 stored, 1 rejected" in said
    assert numbers(sandbox) == [0, 2]
    assert json.loads(rejects.read_text(encoding="utf-8"))["line"] == 1
    assert {row["event"]["event_type"] for row in sandbox.events()} == {"clicked"}


def test_a_full_outbox_pauses_it_and_a_signal_ends_the_pause(
    commands: Commands, sandbox: Sandbox, broker: Broker, wait_until: Callable[..., None]
) -> None:
    sandbox.stop()
    broker.produce(clicks(range(50)))
    words = ["--brokers", broker.servers, "--topic", TOPIC, "--max-queue-events", "30", "--json"]
    with running(commands, *words) as process:
        wait_until(commands.queue_path.exists)
        wait_until(lambda: commands.waiting() == 30)
        process.terminate()
        out, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert json.loads(out) | {"stored": 30, "sent": 0, "waiting": 30} == json.loads(out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--topic", "t"], "Missing option '--brokers'"),
        (["--brokers", "b:9092"], "Missing option '--topic'"),
        (["--brokers", "b:9092", "--topic", "t", "--share", "3"], "--share must be NUMBER/HOSTS"),
        (["--brokers", "b:9092", "--topic", "t", "--share", "3/3"], "share must be this host's"),
        (["--brokers", "b:9092", "--topic", "t", "--start", "group"], "needs a group.id"),
        (["--topic", "t", "--kafka-config", "none.properties"], "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    commands: Commands, words: list[str], said: str
) -> None:
    assert said in commands("consume", *words, status=2).stderr


def test_settings_of_kafka_are_read_of_a_file_and_their_values_are_not_shown(
    commands: Commands, sandbox: Sandbox, broker: Broker
) -> None:
    file = commands.home / "kafka.properties"
    file.write_text(f"# ours\n\nbootstrap.servers = {broker.servers}\n", encoding="utf-8")
    broker.produce(clicks(range(3)))
    words = ("consume", "--kafka-config", str(file), "--topic", TOPIC, "--until-end")
    commands(*words)
    assert numbers(sandbox) == [0, 1, 2]
    file.write_text("sasl.password\thunter2\n", encoding="utf-8")
    said = commands(*words, status=2).stderr
    assert "line 1 of" in said
    assert "hunter2" not in said


def test_the_extra_is_named_where_it_is_missing(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "segops_durable.kafka", None)
    said = commands("consume", "--brokers", "b:9092", "--topic", "t", status=1).stderr
    assert 'pip install "segops-durable[cli,kafka]"' in said
