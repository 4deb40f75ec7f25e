"""A row that is not what was stored is kept aside: it is not sent, and blocks nothing."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable.outbox import Cause, Take
from segops_durable.outbox.records.batch import Settlement
from support.damaged import drain, open_outbox

if TYPE_CHECKING:
    from pathlib import Path


def test_an_event_whose_user_was_altered_is_not_sent_for_somebody_else(queue_path: Path) -> None:
    outbox = open_outbox(queue_path)
    outbox.commit.append([b'{"n":1}'], "user:ann")
    with closing(sqlite3.connect(queue_path)) as file:
        file.execute("UPDATE queue_outbox SET identity = 'user:bob'")
        file.commit()
    assert drain(outbox) == (set(), {b'{"n":1}'})
    assert [letter.cause for letter in outbox.dead_letters] == [Cause.DAMAGED]
    outbox.close()


@pytest.mark.parametrize("value", [None, 7, 1.5, b"\xff", "\udcff"])
@pytest.mark.parametrize("column", ["identity", "data", "crc", "timestamp"])
def test_a_value_of_another_type_is_kept_aside_and_blocks_nothing(
    queue_path: Path, column: str, value: Any
) -> None:
    outbox = open_outbox(queue_path)
    outbox.commit.append([b'{"n":1}', b'{"n":2}'])
    with closing(sqlite3.connect(queue_path)) as file:
        # as damage would: past the table's own checks
        file.execute("PRAGMA writable_schema = ON")
        file.execute("UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '')")
        file.commit()
    with closing(sqlite3.connect(queue_path)) as file:
        raw = value.encode(errors="surrogateescape") if isinstance(value, str) else value
        cast = "CAST(? AS TEXT)" if isinstance(value, str) else "?"
        file.execute(f"UPDATE queue_outbox SET {column} = {cast} WHERE _id = 1", (raw,))
        file.commit()
    outbox.commit.append([b'{"n":3}'])
    sent, dead = drain(outbox)
    assert {b'{"n":2}', b'{"n":3}'} <= sent
    assert len(sent) + len(dead) == 3
    outbox.waiting.counts()
    outbox.close()


@pytest.mark.long
@pytest.mark.one_python
def test_a_row_whose_place_in_the_file_is_damaged_blocks_nothing_and_is_not_sent_for_ever(
    tmp_path: Path,
) -> None:
    original = tmp_path / "original" / "outbox.db"
    rows = {b'{"n":%d}' % number for number in range(500)}
    outbox = open_outbox(original)
    outbox.commit.append(sorted(rows))
    outbox.close()
    row = original.read_bytes().index(b'{"n":300}')
    for place in range(row - 11, row):  # its lengths, its id, its types
        for bit in (0, 2, 4, 7):
            where = f"byte {place}, bit {bit}"
            path = tmp_path / f"{place}-{bit}" / "outbox.db"
            path.parent.mkdir()
            data = bytearray(original.read_bytes())
            data[place] ^= 1 << bit
            path.write_bytes(data)
            outbox = open_outbox(path)
            sent: Counter[bytes] = Counter()
            batch = outbox.batches.take(Take(20)).batch
            while batch is not None:
                sent.update(row.data for row in batch.rows)
                assert sent.total() < 1100, f"it is sent over and over: {where}"
                batch = outbox.batches.settle(Settlement(batch, len(batch.rows)), Take(20)).batch
            told = sum(getattr(each, "lost", 0) for each in outbox.pop_incidents())
            dead = {letter.data for letter in outbox.dead_letters}
            # the row itself, which may lie there with other bytes, or what was told of
            assert len(rows - set(sent) - dead) <= max(1, told) <= 5, where
            outbox.close()
