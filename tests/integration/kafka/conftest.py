from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from segops_durable.kafka import ConsumeResult, consume
from support.kafka import TOPIC, Broker
from support.kafka_broker import library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable import SegOpsClient

UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def _one_broker() -> Iterator[Broker]:
    if library() is None:
        pytest.skip("the library of Kafka is linked into its module here, and has no mock broker")
    broker = Broker()
    yield broker
    broker.close()


@pytest.fixture
def broker(_one_broker: Broker) -> Iterator[Broker]:
    """A broker with a topic of two partitions, which is deleted at the end."""
    _one_broker.create()
    yield _one_broker
    _one_broker.ask("topic_delete", TOPIC)


@pytest.fixture
def client(make_client: Callable[..., SegOpsClient]) -> SegOpsClient:
    """A client whose events wait: nothing listens where it sends."""
    return make_client(api_url=UNREACHABLE)


@pytest.fixture
def read_all(
    client: SegOpsClient, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ConsumeResult]:
    """Consumes to the end of all partitions."""
    monkeypatch.setattr("segops_durable.kafka.partitions._BUSY_SECONDS", 0.0)
    monkeypatch.setattr("segops_durable.kafka.partitions._IDLE_SECONDS", 0.0)

    def read(topic: str = TOPIC, **more: Any) -> ConsumeResult:
        given: dict[str, Any] = {"config": broker.config, "until_end": True, "max_wait": 0.05}
        return consume(client, topic, **{**given, **more})

    return read
