"""Messages that are no events: they are lost in no case, and stop nothing unseen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import FieldMap, KafkaStoppedError
from support.kafka import TOPIC, Broker, clicks, events_in, numbers_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.kafka import ConsumeResult

BAD: list[Any] = [
    (b"no JSON", "Expecting value|unexpected|expected"),
    (b"[1]", "a JSON object is expected, got list"),
    (b"\xff\xfe", "utf-8|UTF-8"),
    ({"event_type": "e"}, "user_id: is required"),
    ({"user_id": "u", "event_type": "e", "occurred_at": "yesterday"}, "occurred_at"),
    (b'{"user_id":"u","event_type":"e","x":1,"x":2}', "the key 'x' is there twice"),
    (b'{"user_id":"u","event_type":"e","x":NaN}', "NaN|expected|unexpected"),
    ({"user_id": "u", "event_type": "e", "x": "y" * 300_000}, "bytes when encoded"),
]

pytestmark = pytest.mark.one_python


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(("value", "reason"), BAD)
def test_without_a_place_for_them_it_stops_at_the_first_and_has_stored_what_is_before_it(
    broker: Broker,
    read_all: Callable[..., ConsumeResult],
    queue_path: Path,
    value: object,
    reason: str,
) -> None:
    broker.produce([*clicks(range(3)), value, *clicks([3])])
    with pytest.raises(KafkaStoppedError, match=rf"clicks \[0\], offset 3: .*({reason})") as caught:
        read_all()
    assert (caught.value.partition, caught.value.offset) == (0, 3)
    assert set(numbers_in(queue_path)) == {0, 1, 2}


def test_they_go_into_a_file_with_reason_and_place_and_all_others_go_on(
    broker: Broker, read_all: Callable[..., ConsumeResult], tmp_path: Path
) -> None:
    for value, _ in BAD:
        broker.produce([value], key="k")
    broker.produce(clicks(range(3)))
    rejects = tmp_path / "rejects.jsonl"
    result = read_all(rejects=rejects)
    assert (result.messages, result.stored, result.rejected) == (len(BAD) + 3, 3, len(BAD))
    found = lines(rejects)
    assert [each["line"] for each in found] == [*range(len(BAD))]
    assert {each["file"] for each in found} == {f"{TOPIC}/0"}
    assert {each["key"] for each in found} == {"k"}
    assert found[0]["record"] == "no JSON"
    assert found[2]["record_base64"] == "//4="
    assert read_all(rejects=rejects).rejected == 0
    assert len(lines(rejects)) == len(BAD)


def test_a_message_that_was_mended_in_the_file_is_imported_once_at_the_time_that_kafka_says(
    broker: Broker,
    read_all: Callable[..., ConsumeResult],
    client: SegOpsClient,
    queue_path: Path,
    tmp_path: Path,
) -> None:
    rejects = tmp_path / "rejects.jsonl"
    columns = FieldMap(columns={"user_id": "who", "event_type": "kafka.header.kind"})
    then = 1_700_000_000_000
    broker.produce([{"n": 1}], headers=[("kind", b"sold")], timestamp=then)
    assert read_all(rejects=rejects, field_map=columns).rejected == 1
    (line,) = lines(rejects)
    record = json.loads(line["record"])
    assert record == {"n": 1, "kafka.header.kind": "sold", "occurred_at": line["timestamp"]}
    assert client.import_rejected(rejects, field_map=columns).rejected == 1  # not mended yet
    line["record"] = json.dumps({**record, "who": "u-1"})
    rejects.write_text(f"{json.dumps(line)}\n")
    assert client.import_rejected(rejects, field_map=columns).stored == 1
    assert client.import_rejected(rejects, field_map=columns).stored == 0
    (event,) = events_in(queue_path)
    assert (event["user_id"], event["event_type"], event["payload"]) == ("u-1", "sold", {"n": 1})
    assert event["occurred_at"].startswith("2023-11-14T22:13:20")


def test_a_callable_hears_of_them_before_they_are_passed_over_and_what_it_raises_ends_it(
    broker: Broker, read_all: Callable[..., ConsumeResult], queue_path: Path
) -> None:
    heard: list[tuple[int, str]] = []
    broker.produce([*clicks([0]), b"bad", *clicks([1])])

    def fail(_message: object, _reason: str) -> None:
        raise OSError("no room for it")

    with pytest.raises(OSError, match="no room for it"):
        read_all(on_reject=fail)
    assert not numbers_in(queue_path)
    read_all(on_reject=lambda message, reason: heard.append((message.offset(), reason)))
    assert [offset for offset, _ in heard] == [1]
    assert set(numbers_in(queue_path)) == {0, 1}


def test_what_a_callable_raises_costs_its_message_only(
    broker: Broker, read_all: Callable[..., ConsumeResult], tmp_path: Path
) -> None:
    def to_event(message: Any) -> dict[str, Any]:
        found = json.loads(message.value())
        return {"user_id": found["user_id"], "event_type": "e", "payload": {"n": found["n"]}}

    broker.produce([*clicks([0]), {"user_id": "u"}, *clicks([1])])
    result = read_all(to_event=to_event, rejects=tmp_path / "rejects.jsonl")
    assert (result.stored, result.rejected) == (2, 1)
    (line,) = lines(tmp_path / "rejects.jsonl")
    assert line["reason"] == "to_event raised KeyError: 'n'"
    assert json.loads(line["record"]) == {"user_id": "u"}


def test_so_many_may_be_bad_and_what_is_before_the_next_one_is_stored(
    broker: Broker, read_all: Callable[..., ConsumeResult], queue_path: Path, tmp_path: Path
) -> None:
    broker.produce([b"a", *clicks([0]), b"b", *clicks([1]), b"c", *clicks([2])])
    rejects = tmp_path / "rejects.jsonl"
    with pytest.raises(KafkaStoppedError, match=r"offset 4: .*2 such messages are allowed"):
        read_all(rejects=rejects, max_errors=2)
    assert set(numbers_in(queue_path)) == {0, 1}
    assert [each["line"] for each in lines(rejects)] == [0, 2]
    assert read_all(rejects=rejects, max_errors=2).stored == 1
    assert [each["line"] for each in lines(rejects)] == [0, 2, 4]


def test_a_line_that_a_kill_has_torn_is_taken_away(
    broker: Broker, read_all: Callable[..., ConsumeResult], tmp_path: Path
) -> None:
    rejects = tmp_path / "rejects.jsonl"
    broker.produce([b"a"])
    read_all(rejects=rejects)
    with rejects.open("a") as file:
        file.write('{"file": "clicks/0", "li')
    broker.produce([b"b"])
    read_all(rejects=rejects)
    assert [each["record"] for each in lines(rejects)] == ["a", "b"]
