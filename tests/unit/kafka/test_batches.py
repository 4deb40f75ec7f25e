"""What is stored of what was read; also where offsets have gaps, which no mock broker makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import FieldMap
from segops_durable.intake.messages import Maker, Message, Rejected
from segops_durable.kafka.batches import Batches, Rules
from segops_durable.kafka.partitions import Read
from segops_durable.kafka.places import Place, Places

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient

KEY = ("clicks", 0)


def message(offset: int, value: bytes = b'{"user_id":"u","event_type":"e"}') -> Message:
    return Message(*KEY, offset, 3, None, value, (), 1_700_000_000.0, None)


@pytest.fixture
def max_errors() -> int | None:
    return None


@pytest.fixture
def batches(make_client: Callable[..., SegOpsClient], max_errors: int | None) -> Batches:
    client = make_client()
    nobody: Any = None
    places = Places(
        client._outbox, nobody, "mine", start="earliest", on_gap="raise", listener=nobody
    )
    places.current[KEY] = Place(10, None, "")
    maker = Maker(client._intake, FieldMap(), None)
    return Batches(maker, places, Rules(Rejected(None, maker), None, max_errors))


def test_the_place_after_a_batch_is_behind_its_last_message_whatever_is_missing(
    batches: Batches,
) -> None:
    read = Read({KEY: [message(12), message(15), message(40)]}, {}, {})
    (write,) = batches.make(read).writes
    assert (write.messages, len(write.encoded), write.place) == (3, 3, Place(41, 3, ""))


def test_marks_of_transactions_behind_the_last_message_are_passed_with_it(batches: Batches) -> None:
    (write,) = batches.make(Read({KEY: [message(12)]}, {KEY: 14}, {})).writes
    assert write.place == Place(14, 3, "")
    (write,) = batches.make(Read({KEY: [message(12), message(20)]}, {KEY: 14}, {})).writes
    assert write.place == Place(21, 3, "")


def test_an_end_without_messages_moves_the_place_so_that_nothing_seems_lost_once_it_is_deleted(
    batches: Batches,
) -> None:
    (write,) = batches.make(Read({}, {KEY: 25}, {})).writes
    assert (write.place.offset, write.messages, write.encoded) == (25, 0, ())
    assert batches.make(Read({}, {KEY: 10}, {})).writes == []


def test_nothing_is_stored_of_a_partition_that_goes_on_elsewhere(batches: Batches) -> None:
    assert batches.make(Read({KEY: [message(12)]}, {KEY: 30}, {}), {KEY}).writes == []


@pytest.mark.parametrize("max_errors", [0])
def test_what_is_behind_a_message_that_stops_it_is_not_passed_though_the_end_was_read(
    batches: Batches,
) -> None:
    bad = message(13, b"no JSON")
    (write,), stopped = batches.make(Read({KEY: [message(12), bad, message(14)]}, {KEY: 15}, {}))
    assert (write.messages, write.place.offset) == (1, 13)
    assert stopped is not None
    assert stopped.offset == 13
