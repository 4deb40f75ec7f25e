"""What librdkafka says instead of a message."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from confluent_kafka import KafkaError
from confluent_kafka import Message as Found

from segops_durable import KafkaStoppedError
from segops_durable.kafka.partitions import Partitions
from segops_durable.kafka.places import Place, Places

KEY = ("clicks", 0)


@pytest.fixture
def partitions() -> Partitions:
    nobody: Any = None
    places = Places(nobody, nobody, "mine", start="earliest", on_gap="raise", listener=nobody)
    places.current[KEY] = Place(10, None, "")
    return Partitions(nobody, places, nobody, None, None)


def found(error: KafkaError | None = None, offset: int = 10) -> Any:
    return Found(topic="clicks", partition=0, offset=offset, value=b"{}", error=error)


@pytest.mark.parametrize(
    "error",
    [
        KafkaError(KafkaError._FATAL, "fenced", fatal=True),
        KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not allowed"),
        KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "it was deleted"),
        KafkaError(KafkaError._BAD_MSG, "a checksum is wrong"),
    ],
)
def test_what_does_not_get_well_by_itself_ends_it_with_its_place(
    partitions: Partitions, error: KafkaError
) -> None:
    with pytest.raises(KafkaStoppedError, match=r"^clicks \[0\], offset 10: ") as caught:
        partitions.sorted([found(error)])
    assert (caught.value.topic, caught.value.partition, caught.value.offset) == ("clicks", 0, 10)


def test_what_is_about_the_whole_cluster_has_no_place(partitions: Partitions) -> None:
    fenced = KafkaError(KafkaError._FATAL, "fenced", fatal=True)
    with pytest.raises(KafkaStoppedError, match=r"^Kafka: fenced$") as caught:
        partitions.sorted([Found(topic=None, partition=-1, offset=-1001, value=b"", error=fenced)])
    assert (caught.value.topic, caught.value.partition, caught.value.offset) == ("", None, None)


@pytest.mark.parametrize(
    "code",
    [KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError.GROUP_AUTHORIZATION_FAILED],
)
def test_what_gets_well_by_itself_is_waited_for_and_logged(
    partitions: Partitions, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    read = partitions.sorted([found(KafkaError(code, "a while"))])
    assert not any(read)
    assert caplog.messages == ["a while"]


def test_an_end_is_noted_and_a_message_before_the_place_is_not_taken_again(
    partitions: Partitions,
) -> None:
    end = KafkaError(KafkaError._PARTITION_EOF, "end")
    assert not partitions.are_at_end
    read = partitions.sorted([found(offset=9), found(offset=10), found(end, 14)])
    assert [each.offset for each in read.messages[KEY]] == [10]
    assert read.ends == {KEY: 14}
    assert partitions.are_at_end


def test_a_place_that_kafka_does_not_have_is_looked_at_and_not_read_on(
    partitions: Partitions,
) -> None:
    error = KafkaError(KafkaError._AUTO_OFFSET_RESET, "out of range")
    assert partitions.sorted([found(error)]).gaps == {KEY: "out of range"}


def test_where_the_extra_is_missing_that_is_said() -> None:
    code = (
        "import sys; sys.modules['confluent_kafka'] = None\n"
        "try:\n    import segops_durable.kafka\n"
        "except ImportError as error:\n    print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == (
        'confluent-kafka is not installed: pip install "segops-durable[kafka]"'
    )
