"""What becomes of messages, and where the next call goes on."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from segops_durable import (
    CheckpointConflictError,
    ConfigurationError,
    Event,
    FieldMap,
    KafkaStoppedError,
    QueueFullError,
)
from segops_durable.kafka import ConsumeResult, consume
from segops_durable.kafka.cluster import Cluster
from support.kafka import TOPIC, Broker, clicks, events_in, numbers_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import confluent_kafka

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python


def once(numbers: range) -> Counter[int]:
    return Counter(numbers)


def test_each_message_of_all_partitions_is_queued_once_and_the_next_call_goes_on(
    broker: Broker, read_all: Callable[..., ConsumeResult], queue_path: Path
) -> None:
    broker.produce(clicks(range(30)))
    broker.produce(clicks(range(30, 50)), partition=1)
    first = read_all()
    assert (first.messages, first.stored, first.rejected) == (50, 50, 0)
    assert first.positions == {(TOPIC, 0): 30, (TOPIC, 1): 20}
    broker.produce(clicks(range(50, 60)))
    assert read_all().stored == 10
    assert read_all() == ConsumeResult(positions={(TOPIC, 0): 40, (TOPIC, 1): 20})
    assert numbers_in(queue_path) == once(range(60))


def test_a_message_becomes_the_event_that_it_says_at_the_time_that_kafka_says(
    broker: Broker, read_all: Callable[..., ConsumeResult], queue_path: Path
) -> None:
    then = 1_700_000_000_123
    broker.produce([{"user_id": "u", "event_type": "e", "total": 1.5}], timestamp=then)
    said = {"user_id": "u", "event_type": "e", "occurred_at": "2026-01-31T12:00:00Z"}
    broker.produce([said, {"user_id": "u", "event_type": "e", "payload": {"a": 1}}], timestamp=then)
    read_all()
    first, second, third = events_in(queue_path)
    assert first["payload"] == {"total": 1.5}
    assert first["occurred_at"].startswith("2023-11-14T22:13:20.123")
    assert second["occurred_at"].startswith("2026-01-31T12:00:00")
    assert third["payload"] == {"a": 1}


def test_key_headers_and_place_are_columns_that_a_field_map_may_name(
    broker: Broker, read_all: Callable[..., ConsumeResult], queue_path: Path
) -> None:
    broker.produce([{"n": 1}], key="u-9", headers=[("kind", b"old"), ("kind", b"sold")])
    columns = {"user_id": "kafka.key", "event_type": "kafka.header.kind"}
    casts: Any = {"kafka.offset": "integer", "kafka.partition": "integer", "kafka.topic": "text"}
    assert read_all(field_map=FieldMap(columns=columns, casts=casts)).stored == 1
    (event,) = events_in(queue_path)
    assert (event["user_id"], event["event_type"]) == ("u-9", "sold")
    place = {"kafka.offset": 0, "kafka.partition": 0, "kafka.topic": TOPIC}
    assert event["payload"] == {"n": 1, **place}


def test_a_callable_makes_one_event_several_or_none_of_a_message(
    broker: Broker, read_all: Callable[..., ConsumeResult], queue_path: Path
) -> None:
    def to_event(message: confluent_kafka.Message) -> Any:
        word = (message.value() or b"gone").decode()
        if word == "none":
            return None
        found = Event(word, "said", payload={"n": message.offset()})
        return found if word == "gone" else [found, {"user_id": word, "event_type": "again"}]

    broker.produce([b"a", b"none", None])
    result = read_all(to_event=to_event)
    assert (result.messages, result.stored, result.dropped, result.tombstones) == (3, 3, 1, 0)
    assert [event["user_id"] for event in events_in(queue_path)] == ["a", "a", "gone"]


def test_a_tombstone_is_passed_over_and_counted(
    broker: Broker, read_all: Callable[..., ConsumeResult]
) -> None:
    broker.produce([*clicks([1]), None, *clicks([2])], key="k")
    result = read_all()
    assert (result.messages, result.stored, result.tombstones) == (3, 2, 1)


def test_before_store_sees_each_event_and_may_drop_it(
    broker: Broker, make_client: Callable[..., SegOpsClient], queue_path: Path
) -> None:
    client = make_client(
        api_url="http://127.0.0.1:9",
        before_store=lambda event: event if event.payload["n"] % 2 else None,
    )
    broker.produce(clicks(range(10)))
    result = consume(client, TOPIC, config=broker.config, until_end=True, max_wait=0.05)
    assert (result.messages, result.stored, result.dropped) == (10, 5, 5)
    assert set(numbers_in(queue_path)) == {1, 3, 5, 7, 9}


def test_partitions_are_those_that_are_named_or_a_share_of_all(
    broker: Broker, read_all: Callable[..., ConsumeResult], queue_path: Path
) -> None:
    broker.produce(clicks(range(5)))
    broker.produce(clicks(range(5, 9)), partition=1)
    assert read_all(partitions=[1]).positions == {(TOPIC, 1): 4}
    assert read_all(share=(0, 2)).positions == {(TOPIC, 0): 5}
    assert numbers_in(queue_path) == once(range(9))
    with pytest.raises(ConfigurationError, match=r"partitions must be there \(clicks has 2\)"):
        read_all(partitions=[0, 7])


def test_the_end_of_a_topic_that_is_begun_at_the_latest_is_kept_though_nothing_came(
    broker: Broker, read_all: Callable[..., ConsumeResult], queue_path: Path
) -> None:
    broker.produce(clicks(range(5)))
    assert read_all(start="latest").stored == 0
    broker.produce(clicks(range(5, 8)))
    assert read_all(start="latest").stored == 3
    assert set(numbers_in(queue_path)) == {5, 6, 7}


def test_a_topic_can_be_begun_at_a_time(
    broker: Broker, read_all: Callable[..., ConsumeResult]
) -> None:
    broker.produce(clicks(range(3)))
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    assert read_all(start=later).positions == {(TOPIC, 0): 3, (TOPIC, 1): 0}


def test_a_group_is_told_the_offsets_and_another_outbox_can_begin_there(
    broker: Broker,
    read_all: Callable[..., ConsumeResult],
    make_client: Callable[..., SegOpsClient],
    tmp_path: Path,
) -> None:
    broker.produce(clicks(range(5)))
    config = {**broker.config, "group.id": "lag"}
    read_all(config=config)
    group = Consumer(config)
    (committed, _) = group.committed([TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)], 20)
    group.close()
    assert committed.offset == 5
    broker.produce(clicks(range(5, 7)))
    other = make_client(api_url="http://127.0.0.1:9", queue_path=tmp_path / "other.db")
    result = consume(other, TOPIC, config=config, start="group", until_end=True, max_wait=0.05)
    assert result.stored == 2


def test_what_the_group_has_committed_is_never_read_again_where_there_is_a_checkpoint(
    broker: Broker, read_all: Callable[..., ConsumeResult]
) -> None:
    config = {**broker.config, "group.id": "lag-2"}
    broker.produce(clicks(range(5)))
    read_all(config=config)
    group = Consumer(config)
    group.commit(offsets=[TopicPartition(TOPIC, 0, 0)], asynchronous=False)
    group.close()
    assert read_all(config=config, start="group").stored == 0


def test_several_topics_are_read_at_once(
    broker: Broker, read_all: Callable[..., ConsumeResult], queue_path: Path
) -> None:
    broker.create("orders", 1)
    broker.produce(clicks(range(5)))
    broker.produce(clicks(range(5, 7)), topic="orders")
    assert read_all([TOPIC, "orders"]).positions[("orders", 0)] == 2
    assert numbers_in(queue_path) == once(range(7))
    broker.ask("topic_delete", "orders")


def test_a_topic_or_a_cluster_that_is_not_there_is_told_of(
    read_all: Callable[..., ConsumeResult],
) -> None:
    with pytest.raises(KafkaStoppedError, match=r"^nothing: the topic is not there"):
        read_all("nothing")
    with pytest.raises(KafkaStoppedError, match=r"^clicks: .*(refused|down|Connect)"):
        read_all(config={"bootstrap.servers": "127.0.0.1:9"}, timeout=1)


def test_stop_ends_it_between_two_transactions(
    broker: Broker, client: SegOpsClient, queue_path: Path
) -> None:
    stop = threading.Event()
    broker.produce(clicks(range(100)))
    result = consume(
        client,
        TOPIC,
        config=broker.config,
        batch_size=10,
        stop=stop,
        on_progress=lambda so_far: stop.set() if so_far.stored >= 30 else None,
    )
    assert result.stored == len(numbers_in(queue_path)) == 30


def test_two_that_consume_one_partition_into_one_outbox_are_told_and_nothing_is_stored_twice(
    broker: Broker,
    client: SegOpsClient,
    read_all: Callable[..., ConsumeResult],
    queue_path: Path,
) -> None:
    broker.produce(clicks(range(30)))

    def another(_: ConsumeResult) -> None:
        consume(client, TOPIC, config=broker.config, until_end=True, max_wait=0.05)

    with pytest.raises(CheckpointConflictError, match=r"clicks \[0\]: another process consumes"):
        read_all(batch_size=10, on_progress=another)
    assert numbers_in(queue_path) == once(range(30))


def test_a_full_outbox_raises_and_loses_nothing(
    broker: Broker, make_client: Callable[..., SegOpsClient], queue_path: Path
) -> None:
    broker.produce(clicks(range(30)))
    full = make_client(api_url="http://127.0.0.1:9", max_queue_events=20)
    with pytest.raises(QueueFullError):
        consume(full, TOPIC, config=broker.config, until_end=True, max_wait=0.05, batch_size=10)
    assert numbers_in(queue_path) == once(range(20))
    full.shutdown(0)
    larger = make_client(api_url="http://127.0.0.1:9")
    consume(larger, TOPIC, config=broker.config, until_end=True, max_wait=0.05)
    assert numbers_in(queue_path) == once(range(30))


def test_a_full_outbox_that_blocks_is_waited_for_and_told_of_until_there_is_room(
    broker: Broker, make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.stop()
    told: list[Exception] = []

    def hear(error: Exception) -> None:
        told.append(error)
        if [type(each) for each in told].count(QueueFullError) == 1:
            sandbox.start()

    broker.produce(clicks(range(60)))
    client = make_client(
        max_queue_events=20,
        overflow="block",
        overflow_timeout=0.1,
        flush_interval=0.05,
        on_error=hear,
    )
    result = consume(
        client, TOPIC, config=broker.config, until_end=True, max_wait=0.05, batch_size=10
    )
    assert result.stored == 60
    assert any(isinstance(error, QueueFullError) for error in told)
    assert client.flush(timeout=30).pending == 0
    assert sorted(row["event"]["payload"]["n"] for row in sandbox.events()) == [*range(60)]


def test_a_broker_that_goes_away_is_waited_for(
    broker: Broker, client: SegOpsClient, queue_path: Path
) -> None:
    broker.produce(clicks(range(10)))
    stop, is_read = threading.Event(), threading.Event()

    def look(so_far: ConsumeResult) -> None:
        if so_far.stored >= 10:
            is_read.set()
        if so_far.stored >= 20:
            stop.set()

    config = {**broker.config, "reconnect.backoff.max.ms": 100}
    thread = threading.Thread(
        target=consume,
        args=(client, TOPIC),
        kwargs={"config": config, "stop": stop, "on_progress": look, "max_wait": 0.05},
    )
    thread.start()
    assert is_read.wait(60)
    broker.ask("broker_set_down", -1)
    broker.ask("broker_set_up", -1)
    broker.produce(clicks(range(10, 20)))
    assert stop.wait(60)
    thread.join(60)
    assert numbers_in(queue_path) == once(range(20))


def test_partitions_that_are_added_are_read_from_their_beginning(
    broker: Broker,
    client: SegOpsClient,
    queue_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # the mock broker adds none: so what it says of its topic is one partition at first
    monkeypatch.setattr("segops_durable.kafka.partitions._BUSY_SECONDS", 0.0)
    asked = Cluster.topic
    stop = threading.Event()
    said: list[int] = []

    def topic(cluster: Cluster, name: str, timeout: float | None = None) -> Any:
        found = asked(cluster, name, timeout)
        said.append(len(said))
        return found if len(said) > 2 else found._replace(partitions=(0,))

    monkeypatch.setattr(Cluster, "topic", topic)
    broker.produce(clicks(range(10)))
    broker.produce(clicks(range(10, 15)), partition=1)
    consume(
        client,
        TOPIC,
        config={**broker.config, "group.id": "added"},
        start="group",
        batch_size=5,
        max_wait=0.05,
        stop=stop,
        on_progress=lambda so_far: stop.set() if so_far.stored == 15 else None,
    )
    assert numbers_in(queue_path) == once(range(15))
