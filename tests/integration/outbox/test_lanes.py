"""A priority stays with its event wherever it goes: other files, a salvage, the dead letters."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable import StorageError
from segops_durable.events import PRIORITIES
from segops_durable.identity import identity_in, lane_of, lanes_of, name_of, priority_of, rank_of
from segops_durable.outbox import Cause, Letter, Outbox, Place, Settlement, Take
from support.outboxes import events, spoil, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IDENTITIES = ("", "whoever", "user:ann", "user:high low", "visitor:high user:x", "user:low ")


def fill(outbox: Outbox) -> dict[str, list[bytes]]:
    """Store events of all priorities, of all identities; give what each lane has."""
    stored: dict[str, list[bytes]] = {}
    for number, identity in enumerate(IDENTITIES):
        some = [
            b'{"user_id":"u","event_type":"e","occurred_at":"2026-01-01T00:00:00.000Z",'
            b'"payload":{"n":%d}}' % (10 * number + each)
            for each in range(6)
        ]
        priorities = [PRIORITIES[each % 3] for each in range(6)]
        outbox.commit.append(some, identity, priorities=priorities)
        for data, priority in zip(some, priorities, strict=True):
            stored.setdefault(lane_of(identity, priority), []).append(data)
    return stored


def lanes_in(outbox: Outbox) -> dict[str, list[bytes]]:
    """What waits in each lane, as a batch of it would have it."""
    found: dict[str, list[bytes]] = {}
    for identity in IDENTITIES:
        for lane in lanes_of(identity):
            batch = outbox.batches.take(Take(100, lane)).batch
            assert batch is not None
            assert batch.sent_as == identity
            found[lane] = [row.data for row in batch.rows]
            outbox.batches.give_back([batch.key])
    return found


def version_of(path: Path) -> tuple[int, str]:
    with closing(sqlite3.connect(path)) as file:
        (noted,) = file.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
        return file.execute("PRAGMA user_version").fetchone()[0], noted


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_lane_tells_whose_it_is_and_which_go_first(identity: str) -> None:
    lanes = lanes_of(identity)
    assert [*map(identity_in, lanes)] == [identity] * 3
    assert [*map(priority_of, lanes)] == [*PRIORITIES]
    assert [*map(rank_of, lanes)] == [0, 1, 2]
    assert lane_of(identity, "normal") == identity
    assert {*map(name_of, lanes)} == {name_of(identity)}


def test_what_is_stored_is_found_lane_by_lane_and_counted_by_whom_it_is_of(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    stored = fill(outbox)
    assert lanes_in(outbox) == stored
    assert set(outbox.waiting.identities()) >= set(stored) - {""}
    assert set(outbox.waiting.urgent()) == {lane_of(each, "high") for each in IDENTITIES}
    assert outbox.waiting.count_of(IDENTITIES) == dict.fromkeys(IDENTITIES, 6)
    assert outbox.waiting.count_public() == 6 * (len(IDENTITIES) - 1)


def test_a_salvage_keeps_it_and_the_version(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    stored = fill(outbox)
    marked = outbox.batches.take(Take(100, "high user:ann")).batch
    assert marked is not None
    assert version_of(queue_path) == (8, "8")
    outbox.repair("as if")
    assert version_of(queue_path) == (8, "8")
    again = outbox.batches.take(Take(100, "high user:ann")).batch
    assert again is not None
    assert again.key == marked.key
    assert lanes_in(outbox) == stored


def test_a_dead_letter_with_one_makes_a_file_that_had_none_one_of_its_version(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(1), "user:ann", priorities=["high"])
    batch = outbox.batches.take(Take(10, "high user:ann")).batch
    assert batch is not None
    outbox.batches.settle(Settlement(batch, 0, Letter(Cause.REFUSED, "no")), None)
    outbox.repair("as if")
    assert [each.priority for each in outbox.dead_letters] == ["high"]
    assert version_of(queue_path) == (7, "7")
    assert outbox.dead_letters.retry() == 1
    assert version_of(queue_path) == (8, "8")


def test_an_outbox_that_is_adopted_and_one_that_is_loaded_bring_it_with_them(
    open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    source = open_outbox(tmp_path / "source.db")
    stored = fill(source)
    lines = [*source.transfer.export(1000)]
    loaded = open_outbox(tmp_path / "loaded.db")
    assert loaded.transfer.load(lines, Place()).loaded == 6 * len(IDENTITIES)
    assert lanes_in(loaded) == stored
    assert version_of(tmp_path / "loaded.db") == (8, "8")
    adopting = open_outbox(tmp_path / "adopting.db")
    adopting.adopt(source)
    assert lanes_in(adopting) == stored
    assert version_of(tmp_path / "adopting.db") == (8, "8")


@pytest.mark.parametrize("name", ["ann", "high user:x", "low "])
def test_whoever_is_erased_is_erased_from_all_lanes(
    open_outbox: Callable[..., Outbox], name: str
) -> None:
    outbox = open_outbox()
    fill(outbox)
    assert outbox.erasure.forget(name) == 6
    assert outbox.waiting.counts().pending == 6 * (len(IDENTITIES) - 1)


def test_a_damaged_lane_is_not_believed(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    """Of another lane it would be sent as somebody else, or in its wrong turn."""
    outbox = open_outbox()
    outbox.commit.append(events(2), "user:ann", priorities=["high", "high"])
    spoil(queue_path, "UPDATE queue_outbox SET identity = 'low user:ann' WHERE _id = 1")
    taken = outbox.batches.take(Take(10, "low user:ann"))
    assert (taken.batch, taken.damaged) == (None, 1)
    assert outbox.waiting.counts().dead == 1


def test_a_damaged_version_is_noticed_and_mended(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    stored = fill(outbox)
    spoil(queue_path, "UPDATE meta SET value = '5' WHERE name = 'schema'")
    outbox.look_after()
    assert version_of(queue_path) == (8, "8")
    assert lanes_in(outbox) == stored
    assert told(outbox)


def test_a_version_that_comes_later_is_refused(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    fill(outbox)
    outbox.close()
    spoil(queue_path, "DELETE FROM meta WHERE name = 'schema'")
    spoil(queue_path, "PRAGMA user_version = 9")
    with pytest.raises(StorageError, match="has schema version 9, this package knows 8"):
        open_outbox()


def test_calls_that_are_stored_together_keep_their_own(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(1), "user:ann")
    outbox.commit.append(events(3, 1), "user:ann", priorities=["low", "normal", "high"])
    found = {
        lane: [row.data for row in batch.rows]
        for lane in lanes_of("user:ann")
        if (batch := outbox.batches.take(Take(10, lane)).batch) is not None
    }
    assert found == {
        "high user:ann": events(1, 3),
        "user:ann": [*events(1), *events(1, 2)],
        "low user:ann": events(1, 1),
    }
