"""What is not there any more when it is to be read: never passed over in silence."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from segops_durable import KafkaGapError, KafkaStoppedError
from segops_durable.kafka import ConsumeResult, consume
from support.kafka import TOPIC, Broker, clicks, numbers_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient, SegOpsError

pytestmark = pytest.mark.one_python


def test_messages_that_were_deleted_unread_are_told_of_with_their_offsets(
    broker: Broker, read_all: Callable[..., ConsumeResult], queue_path: Path
) -> None:
    broker.produce(clicks(range(5)))
    read_all()
    broker.produce(clicks(range(5, 20)))
    broker.ask("partition_delete_records", TOPIC, 0, 12)
    with pytest.raises(KafkaGapError, match="offset 5 to 11 were deleted before") as caught:
        read_all()
    gap = caught.value
    assert (gap.topic, gap.partition, gap.offset, gap.lost) == (TOPIC, 0, 5, 7)
    assert numbers_in(queue_path) == Counter(range(5))


def test_skipped_deleted_messages_are_counted_and_told_once(
    broker: Broker,
    read_all: Callable[..., ConsumeResult],
    make_client: Callable[..., SegOpsClient],
    wait_until: Callable[..., None],
) -> None:
    told: list[SegOpsError] = []
    broker.produce(clicks(range(5)))
    read_all()
    broker.produce(clicks(range(5, 20)))
    broker.ask("partition_delete_records", TOPIC, 0, 12)
    client = make_client(api_url="http://127.0.0.1:9", on_error=told.append, flush_interval=0.05)
    results = [
        consume(client, TOPIC, config=broker.config, until_end=True, max_wait=0.05, on_gap="skip")
        for _ in range(2)
    ]
    assert [each.lost for each in results] == [7, 0]
    assert results[0].positions[TOPIC, 0] == 20
    wait_until(lambda: [error for error in told if isinstance(error, KafkaGapError)])
    assert len([error for error in told if isinstance(error, KafkaGapError)]) == 1


@pytest.mark.parametrize("on_gap", ["raise", "skip"])
def test_messages_that_are_deleted_while_it_runs_are_told_of_as_well(
    broker: Broker, client: SegOpsClient, queue_path: Path, on_gap: str
) -> None:
    broker.produce(clicks(range(5)))
    stop = threading.Event()

    def look(so_far: ConsumeResult) -> None:
        if so_far.stored == 5:  # what is fetched next is gone by then
            broker.ask("broker_set_down", -1)
            broker.ask("broker_set_up", -1)
            broker.produce(clicks(range(5, 20)))
            broker.ask("partition_delete_records", TOPIC, 0, 20)
            broker.produce(clicks([20]))
        if so_far.positions[TOPIC, 0] == 21:
            stop.set()

    def run() -> ConsumeResult:
        return consume(
            client,
            TOPIC,
            config={**broker.config, "fetch.wait.max.ms": 10, "queued.min.messages": 1},
            on_gap=on_gap,  # type: ignore[arg-type]  # one of the two
            max_wait=0.05,
            stop=stop,
            on_progress=look,
        )

    # whether the first of them were fetched before they were deleted is the fetcher's to say
    if on_gap == "skip":
        result = run()
        stored = numbers_in(queue_path)
        assert set(stored.values()) == {1}
        assert result.lost + len(stored) == 21
        return
    gap: KafkaGapError | None = None
    try:
        run()
    except KafkaGapError as error:
        gap = error
    lost = 0 if gap is None else (gap.lost or 0) + 1
    assert numbers_in(queue_path) == Counter(range(21 - lost))


@pytest.mark.parametrize("count", [3, 30])
def test_a_topic_that_was_made_anew_is_told_of_whether_its_offsets_are_lower_or_not(
    broker: Broker, read_all: Callable[..., ConsumeResult], queue_path: Path, count: int
) -> None:
    broker.produce(clicks(range(10)))
    read_all()
    broker.ask("topic_delete", TOPIC)
    broker.create()
    broker.produce(clicks(range(100, 100 + count)))
    with pytest.raises(KafkaGapError, match="deleted and made anew since offset 10"):
        read_all()
    assert numbers_in(queue_path) == Counter(range(10))
    assert read_all(on_gap="skip").stored == count
    assert read_all().stored == 0
    assert numbers_in(queue_path) == Counter([*range(10), *range(100, 100 + count)])


def test_a_topic_that_is_made_anew_while_it_runs_is_noticed_before_anything_of_it_is_stored(
    broker: Broker, read_all: Callable[..., ConsumeResult], queue_path: Path
) -> None:
    broker.produce(clicks(range(10)))

    stop = threading.Event()

    def make_anew(so_far: ConsumeResult) -> None:
        if so_far.stored > 5:
            stop.set()
        if so_far.stored == 5:
            broker.ask("topic_delete", TOPIC)
            broker.create()
            broker.produce(clicks(range(100, 130)))

    with pytest.raises(KafkaGapError, match="made anew"):
        read_all(on_progress=make_anew, batch_size=5, until_end=False, stop=stop)
    assert numbers_in(queue_path) == Counter(range(5))


def test_a_topic_of_a_cluster_without_ids_that_is_shorter_than_the_checkpoint_is_told_of(
    broker: Broker, read_all: Callable[..., ConsumeResult], client: SegOpsClient
) -> None:
    broker.produce(clicks(range(5)))
    name = f"kafka:mine:{TOPIC}:0"
    client.track_many([], checkpoint=(name, {"offset": 9}))
    with pytest.raises(KafkaGapError, match="has offset 5, and 9 was to be read"):
        read_all(cluster="mine", partitions=[0])


def test_a_place_can_be_set_by_hand_and_one_that_is_none_is_refused(
    broker: Broker,
    read_all: Callable[..., ConsumeResult],
    client: SegOpsClient,
    queue_path: Path,
) -> None:
    broker.produce(clicks(range(5)))
    name = f"kafka:mine:{TOPIC}:0"
    client.track_many([], checkpoint=(name, "here"))
    with pytest.raises(KafkaStoppedError, match=r"has no offset.*'here'"):
        read_all(cluster="mine", partitions=[0])
    client.track_many([], checkpoint=(name, {"offset": 3}))
    assert read_all(cluster="mine", partitions=[0]).stored == 2
    assert set(numbers_in(queue_path)) == {3, 4}


def test_the_same_topic_of_another_cluster_is_another_one(
    broker: Broker, read_all: Callable[..., ConsumeResult], queue_path: Path
) -> None:
    broker.produce(clicks(range(5)))
    read_all()
    other = Broker()
    other.create()
    other.produce(clicks(range(5, 8)))
    assert read_all(config=other.config).stored == 3
    assert numbers_in(queue_path) == Counter(range(8))
    other.close()
