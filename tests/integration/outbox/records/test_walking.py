"""Whoever walks a damaged table comes to its end, and meets each row once."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable.outbox import Cause, Letter, Outbox, Settlement, Take
from segops_durable.outbox.records.rows import Row, _old_checksum, new_row
from segops_durable.system.clock import Moment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.one_python

URL = "https://api.segops.ai"
EVENTS = [b'{"n":%d,"user_id":"ann"}' % number for number in range(5)]


def open_outbox(path: Path) -> Outbox:
    return Outbox(path, api_url=URL, key_fingerprint="k")


def filled(path: Path, *, are_letters: bool) -> None:
    outbox = open_outbox(path)
    outbox.commit.append(EVENTS)
    while are_letters and (batch := outbox.batches.take(Take(1)).batch):
        outbox.batches.settle(Settlement(batch, 0, Letter(Cause.REFUSED, "so", 400)), None)
    outbox.close()


def rightmost_leaf(path: Path, table: str) -> int:
    """Where the last page of a table's rows begins."""
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sql = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (page,) = file.execute(sql, (table,)).fetchone()
        (size,) = file.execute("PRAGMA page_size").fetchone()
    data = path.read_bytes()
    while data[(page - 1) * size] == 5:  # an inner page, whose rightmost child is named at 8
        page = int.from_bytes(data[(page - 1) * size + 8 :][:4], "big")
    return int((page - 1) * size)


def give_a_row_the_number_of_the_first(path: Path, table: str, row: int) -> None:
    """Change the id of one of five rows to 1, in the page itself."""
    page = rightmost_leaf(path, table)
    data = bytearray(path.read_bytes())
    place = page + int.from_bytes(data[page + 6 + 2 * row :][:2], "big")  # its cell
    while data[place] & 0x80:  # the length of its row
        place += 1
    assert data[place + 1] == row
    data[place + 1] = 1
    path.write_bytes(data)


@pytest.mark.parametrize("row", [3, 5])
def test_dead_letters_end_and_each_is_yielded_once(queue_path: Path, row: int) -> None:
    filled(queue_path, are_letters=True)
    give_a_row_the_number_of_the_first(queue_path, "dead_letters", row)
    outbox = open_outbox(queue_path)
    seen: Counter[bytes] = Counter()
    for letter in outbox.dead_letters:
        seen[letter.data] += 1
        assert seen.total() <= len(EVENTS)
    assert seen == Counter(EVENTS)
    assert outbox.pop_incidents()
    outbox.close()


@pytest.mark.parametrize("row", [3, 5])
def test_an_export_ends_and_has_each_event_once(queue_path: Path, row: int) -> None:
    filled(queue_path, are_letters=False)
    give_a_row_the_number_of_the_first(queue_path, "queue_outbox", row)
    outbox = open_outbox(queue_path)
    lines = []
    for line in outbox.transfer.export(outbox.waiting.counts().last_id):
        lines.append(line)
        assert len(lines) <= len(EVENTS)
    exported = [event for event in EVENTS if any(event in line for line in lines)]
    assert len(exported) == len(lines)
    assert outbox.transfer.remove_exported(outbox.waiting.counts().last_id) == len(exported)
    # one that has got a new number by then was not asked for, and waits
    assert sorted(exported + [row.data for row in outbox.waiting.peek(10)]) == EVENTS
    outbox.close()


@pytest.mark.parametrize("table", ["dead_letters", "queue_outbox"])
@pytest.mark.parametrize(("name", "theirs"), [("ann", 5), ("bob", 0)])
@pytest.mark.parametrize("row", [3, 5])
def test_erasing_a_person_ends(
    queue_path: Path, table: str, name: str, theirs: int, row: int
) -> None:
    filled(queue_path, are_letters=table == "dead_letters")
    give_a_row_the_number_of_the_first(queue_path, table, row)
    outbox = open_outbox(queue_path)
    assert outbox.erasure.forget(name) == theirs
    counts = outbox.waiting.counts()
    assert counts.pending + counts.dead == len(EVENTS) - theirs
    outbox.close()


def test_a_row_whose_time_was_altered_is_not_what_was_stored(queue_path: Path) -> None:
    outbox = open_outbox(queue_path)
    outbox.commit.append([b'{"n":1}', b'{"n":2}'])
    with closing(sqlite3.connect(queue_path)) as file:
        file.execute("UPDATE queue_outbox SET timestamp = timestamp - 86400 WHERE _id = 1")
        file.commit()
    taken = outbox.batches.take(Take(20))
    assert (taken.damaged, taken.batch and [row.data for row in taken.batch.rows]) == (
        1,
        [b'{"n":2}'],
    )
    outbox.close()


@pytest.mark.parametrize("moment", [Moment(1.5), Moment(1.5, 2.5, 3)])
def test_a_row_of_the_first_versions_is_intact_until_a_bit_flips(moment: Moment) -> None:
    new = new_row(b"{}", moment, "user:ann")
    old = Row(1, *new)._replace(crc=_old_checksum(b"{}", "user:ann", *moment[1:]))
    assert Row(1, *new).is_intact
    assert old.is_intact
    assert not old._replace(data=b"[]").is_intact
    assert not old._replace(identity="user:bob").is_intact


def test_rows_that_a_page_hides_are_not_lost_but_read_from_it(queue_path: Path) -> None:
    events = [b'{"n":%d}' % number for number in range(500)]
    outbox = open_outbox(queue_path)
    outbox.commit.append(events)
    outbox.close()
    page = rightmost_leaf(queue_path, "queue_outbox")
    data = bytearray(queue_path.read_bytes())
    count = int.from_bytes(data[page + 3 : page + 5], "big")
    data[page + 3 : page + 5] = (count - 20).to_bytes(2, "big")
    queue_path.write_bytes(data)
    outbox = open_outbox(queue_path)
    batch = outbox.batches.take(Take(1000)).batch
    assert batch is not None
    assert [row.data for row in batch.rows] == events
    assert outbox.waiting.counts().lost_total == 0
    assert outbox.pop_incidents()
    outbox.close()
