"""Kafka for tests: a broker, what is produced to it, and what an outbox has of it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from confluent_kafka import Producer

if TYPE_CHECKING:
    from collections.abc import Iterable

BROKER = Path(__file__).with_name("kafka_broker.py")
TOPIC = "clicks"


class Broker:
    """A broker in a process of its own.

    Attributes:
        servers: Where it is.
        process: The process.
    """

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(BROKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.servers: str = self._answer()
        self._producer = Producer({"bootstrap.servers": self.servers, "log_level": 0})

    @property
    def config(self) -> dict[str, Any]:
        """What `consume` takes for it."""
        return {"bootstrap.servers": self.servers}

    def ask(self, *request: str | int) -> None:
        """Call a function of rdkafka_mock.h, by its name without ``rd_kafka_mock_``."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{json.dumps(request)}\n")
        self.process.stdin.flush()
        assert self._answer() == 0, request

    def create(self, topic: str = TOPIC, partitions: int = 2) -> None:
        """Make a topic."""
        self.ask("topic_create", topic, partitions, 1)

    def produce(
        self,
        values: Iterable[object],
        *,
        topic: str = TOPIC,
        partition: int = 0,
        **more: Any,
    ) -> None:
        """Produce messages; each is on the broker when this returns."""
        errors: list[Any] = []
        for value in values:
            data = value if isinstance(value, bytes) or value is None else json.dumps(value)
            self._producer.produce(
                topic,
                cast("bytes | None", data),
                partition=partition,
                on_delivery=lambda error, _: errors.append(error) if error else None,
                **more,
            )
            self._producer.poll(0)
        assert self._producer.flush(20) == 0
        assert not errors

    def close(self) -> None:
        """End it."""
        self._producer.purge()
        self.process.kill()
        self.process.communicate()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


def clicks(numbers: Iterable[int]) -> list[dict[str, Any]]:
    """Values of messages, each with a number."""
    return [{"user_id": f"u-{n % 7}", "event_type": "clicked", "n": n} for n in numbers]


def numbers_in(outbox: Path) -> Counter[int]:
    """How often each number waits."""
    return Counter(event["payload"]["n"] for event in events_in(outbox))


def events_in(outbox: Path) -> list[dict[str, Any]]:
    """What waits, in its order."""
    with closing(sqlite3.connect(f"{outbox.as_uri()}?mode=ro", uri=True)) as file:
        rows = file.execute("SELECT data FROM queue_outbox ORDER BY _id").fetchall()
    return [json.loads(data) for (data,) in rows]
