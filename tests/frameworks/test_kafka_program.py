"""The program that consumes a topic of Kafka, run as a user runs it."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support.kafka import Broker
from support.kafka_broker import library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable.sandbox import Sandbox
    from support.programs import Programs

pytestmark = [pytest.mark.long, pytest.mark.one_python]

PROGRAM = ("python", "kafka_consumer.py")


@pytest.fixture
def broker() -> Iterator[Broker]:
    if library() is None:
        pytest.skip("there is no mock broker in this build")
    found = Broker()
    found.create()
    yield found
    found.close()


def test_it_goes_on_where_it_was_killed_and_ends_when_it_is_asked_to(
    sandbox: Sandbox, programs: Programs, broker: Broker, wait_until: Callable[..., None]
) -> None:
    def produce(numbers: range) -> None:
        for partition in (0, 1):
            values = [{"user": "u-1", "n": n} for n in numbers[partition::2]]
            broker.produce(values, partition=partition, headers=[("type", b"clicked")])

    def arrived() -> list[int]:
        return [row["event"]["payload"]["n"] for row in sandbox.events()]

    programs = replace(programs, environ={**programs.environ, "KAFKA_SERVERS": broker.servers})
    produce(range(100))
    with programs.started(*PROGRAM) as process:
        wait_until(lambda: len(set(arrived())) == 100)
        process.kill()
    produce(range(100, 140))
    broker.produce([b"bad"])
    with programs.started(*PROGRAM) as process:
        wait_until(lambda: len(set(arrived())) == 140)
        wait_until((programs.home / "clicks.rejects.jsonl").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, programs.log
    assert "40 stored, 1 rejected" in programs.log
    assert {row["event"]["event_type"] for row in sandbox.events()} == {"clicked"}
