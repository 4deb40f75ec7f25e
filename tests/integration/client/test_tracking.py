"""Many events at once: each is stored as it was when it was handed over, or its chunk is not."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import Event, InvalidEventError, SegOpsClient
from segops_durable.client.tracking import CHUNK_ROWS
from segops_durable.outbox import Take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

NOWHERE = "http://127.0.0.1:9"


def stored(queue_path: Path) -> list[Any]:
    with closing(sqlite3.connect(queue_path)) as file:
        rows = file.execute("SELECT data FROM queue_outbox ORDER BY _id").fetchall()
    return [json.loads(row[0]) for row in rows]


def reused(count: int) -> Iterator[dict[str, Any]]:
    """What an iterator may do that saves memory: each event is the one before, filled anew."""
    event: dict[str, Any] = {"event_type": "page_viewed"}
    for number in range(count):
        event["user_id"] = f"u-{number}"
        event["payload"] = {"n": number}
        yield event


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_an_iterator_may_give_one_dict_again_and_again(
    make_client: Callable[..., SegOpsClient], queue_path: Path, has_checkpoint: bool
) -> None:
    client = make_client(api_url=NOWHERE)
    count = CHUNK_ROWS + 7
    checkpoint = ("job", 1) if has_checkpoint else None
    assert client.track_many(reused(count), checkpoint=checkpoint) == count
    found = [(event["user_id"], event["payload"]["n"]) for event in stored(queue_path)]
    assert found == [(f"u-{number}", number) for number in range(count)]


def test_before_store_may_give_one_dict_again_and_again(
    make_client: Callable[..., SegOpsClient], queue_path: Path
) -> None:
    mine: dict[str, Any] = {"event_type": "seen"}

    def before_store(event: Event) -> Mapping[str, Any]:
        mine.update(user_id=event.user_id, payload=event.payload)
        return mine

    client = make_client(api_url=NOWHERE, before_store=before_store)
    client.track_many(reused(3))
    assert [event["user_id"] for event in stored(queue_path)] == ["u-0", "u-1", "u-2"]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"event_type": "seen"}, "user_id"),
        ({"user_id": "ann", "event_type": ""}, "event_type"),
        (
            {"user_id": "ann", "event_type": "seen", "payload": {"a": [float("nan")]}},
            "payload.a[0]",
        ),
        ({"user_id": "ann", "event_type": "seen", "occurred_at": "yesterday"}, "occurred_at"),
        ({"user_id": "ann", "event_type": "seen", "payload": {"a": "x" * 300_000}}, "event"),
        (Event("\ud800", "seen"), "user_id"),
        (7, "event"),
    ],
)
def test_one_that_cannot_be_sent_is_named_and_nothing_of_its_chunk_is_stored(
    make_client: Callable[..., SegOpsClient], queue_path: Path, bad: Any, field: str
) -> None:
    client = make_client(api_url=NOWHERE)
    good = [{"user_id": f"u-{number}", "event_type": "seen"} for number in range(CHUNK_ROWS + 3)]
    with pytest.raises(InvalidEventError) as caught:
        client.track_many([*good, bad, *good])
    assert caught.value.field == field
    assert [event["user_id"] for event in stored(queue_path)] == [
        f"u-{number}" for number in range(CHUNK_ROWS)
    ]


def test_events_without_a_time_have_that_of_their_chunk_and_can_be_set_right(
    make_client: Callable[..., SegOpsClient],
) -> None:
    client = make_client(api_url=NOWHERE)
    before = datetime.now(timezone.utc)
    given = "2026-01-31T12:00:00+00:00"
    event = {"user_id": "ann", "event_type": "seen"}
    client.track_many([event, {**event, "occurred_at": given}, Event("ann", "seen")])
    batch = client._outbox.batches.take(Take(20)).batch
    assert batch is not None
    assert all(row.is_intact for row in batch.rows)
    times = [json.loads(row.data)["occurred_at"] for row in batch.rows]
    assert before <= datetime.fromisoformat(times[0]) <= datetime.now(timezone.utc)
    assert (times[1], times[2]) == (given, times[0])
    # what says when it occurred is never corrected, whatever becomes of the clock
    assert [row.uptime is None for row in batch.rows] == [False, True, False]
