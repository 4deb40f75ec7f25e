"""A disk that lies: whatever happens to the file, the outbox opens, and says what it lost."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segops_durable import DamagedOutboxError, StorageError
from segops_durable.identity.identities import NO_IDENTITY
from segops_durable.outbox import Take
from segops_durable.outbox.records.rows import Row, new_row
from segops_durable.outbox.records.schema import UNSEALED_VERSION, UPGRADES
from segops_durable.outbox.store.event_queue import EventQueue
from segops_durable.system.clock import Moment
from support.damaged import ROWS, drain, fill_with_noise, open_outbox
from support.events import leave, numbers, track

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient, SegOpsError
    from segops_durable.sandbox import Sandbox

FLIPS = 200


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[bytes]]:
    """A closed outbox of 10,000 rows of many lengths, with a batch in flight."""
    path = tmp_path_factory.mktemp("pristine") / "outbox.db"
    chance = random.Random(2026)
    rows = [b'{"n":%d,"x":"%s"}' % (n, b"y" * chance.randrange(200)) for n in range(ROWS)]
    outbox = open_outbox(path)
    for start in range(0, ROWS, 500):
        outbox.commit.append(rows[start : start + 500])
    outbox.batches.take(Take(20))
    outbox.close()
    return path, set(rows)


def readable(path: Path) -> set[bytes]:
    """The intact rows that SQLite itself can still read, each asked for alone if need be."""
    found: set[bytes] = set()

    def read(first: int, last: int) -> None:
        columns = "_id, data, timestamp, crc, identity, uptime, boot"
        sql = f"SELECT {columns} FROM queue_outbox WHERE _id BETWEEN ? AND ?"
        try:
            rows = file.execute(sql, (first, last)).fetchall()
        except sqlite3.Error:
            if first < last:
                middle = (first + last) // 2
                read(first, middle)
                read(middle + 1, last)
            return
        found.update(row.data for row in map(Row.of, rows) if row.is_intact)

    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as file:
        for start in range(1, ROWS + 1, 250):
            read(start, start + 249)
    return found


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << (place % 8)
    path.write_bytes(data)


@pytest.mark.long
def test_a_flipped_bit_at_200_places_loses_nothing_that_can_be_read_and_alters_nothing(
    pristine: tuple[Path, set[bytes]], tmp_path: Path
) -> None:
    original, rows = pristine
    chance = random.Random(2026)
    size = original.stat().st_size
    # half of them anywhere, half of them where it hurts: in the first pages
    places = [chance.randrange(size) for _ in range(FLIPS // 2)]
    places += [chance.randrange(5 * 4096) for _ in range(FLIPS // 2)]
    quarantined = 0
    for number, place in enumerate(places):
        path = tmp_path / f"{number}" / "outbox.db"
        path.parent.mkdir()
        shutil.copy(original, path)
        flip(path, place)
        expected = readable(path)
        outbox = open_outbox(path)
        outbox.commit.append([b'{"n":"new"}'])
        sent, dead = drain(outbox)
        incidents = outbox.pop_incidents()
        outbox.close()
        where = f"at byte {place}, after {incidents}"
        assert expected <= sent | dead, where
        assert sent <= rows | {b'{"n":"new"}'}, where
        assert b'{"n":"new"}' in sent, where
        quarantined += bool(incidents)
        shutil.rmtree(path.parent)
    assert quarantined > 5  # or it would prove nothing


def test_a_client_starts_on_a_damaged_file_says_what_it_saved_and_delivers_it(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    queue_path: Path,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    def damage() -> list[DamagedOutboxError]:
        return [error for error in told if isinstance(error, DamagedOutboxError)]

    def known() -> int:
        lost = sum(error.lost or 0 for error in damage())
        return len(set(numbers(sandbox))) + client.stats().dead + lost

    sandbox.stop()
    client = make_client(max_retries=0)
    track(client, 3000)
    leave(client)
    with queue_path.open("r+b") as file:
        file.seek(queue_path.stat().st_size // 2)
        file.write(bytes(range(256)) * 16)  # one page
    sandbox.start()
    told: list[SegOpsError] = []
    client = make_client(on_error=told.append, batch_size=500)
    track(client, 1, first=3000)
    client.flush(timeout=60)
    wait_until(lambda: known() == 3001)  # once that round has told of what it met
    assert damage() or client.stats().dead
    arrived = set(numbers(sandbox))
    assert len(arrived) > 2800
    assert 3000 in arrived
    if damage():
        assert "damaged-" in damage()[0].path
        assert list(queue_path.parent.glob("outbox.db.damaged-*"))


def damage_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"not a database at all, says the disk")


def cut_in_half(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def fill_with_zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def forget_the_schema(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA writable_schema = ON")
        file.execute("DELETE FROM sqlite_master WHERE name = 'in_flight'")
        file.commit()


def change_the_header_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version = 77")


@pytest.mark.long
@pytest.mark.one_python
@pytest.mark.parametrize(
    ("spoil", "is_readable"),
    [
        (damage_header, True),  # a header says nothing that is needed to read the rows
        (cut_in_half, True),
        (fill_with_zeros, False),
        (fill_with_noise, False),
        (forget_the_schema, True),
        (change_the_header_version, True),
    ],
)
def test_a_file_that_cannot_be_used_is_set_aside_and_told_of(
    pristine: tuple[Path, set[bytes]],
    queue_path: Path,
    spoil: Callable[[Path], None],
    is_readable: bool,
) -> None:
    original, rows = pristine
    queue_path.parent.mkdir()
    shutil.copy(original, queue_path)
    if not is_readable:  # what says nothing any more is known by what is beside it
        shutil.copy(f"{original}.lock", f"{queue_path}.lock")
    spoil(queue_path)
    outbox = open_outbox(queue_path)
    outbox.commit.append([b"{}"])
    sent, dead = drain(outbox)
    (incident,) = outbox.pop_incidents()
    lost_total = outbox.waiting.counts().lost_total
    outbox.close()
    assert isinstance(incident, DamagedOutboxError)
    assert sent <= rows | {b"{}"}
    assert b"{}" in sent
    assert (incident.saved > 0) == is_readable
    assert lost_total == (incident.lost or 0)
    if incident.lost is not None:
        assert incident.saved + len(dead) + incident.lost == ROWS  # dead: what a cut has torn
    assert incident.saved <= len(sent | dead)


def test_ids_and_the_batch_in_flight_are_kept_where_they_can_be_read(
    pristine: tuple[Path, set[bytes]], queue_path: Path
) -> None:
    original, rows = pristine
    queue_path.parent.mkdir()
    shutil.copy(original, queue_path)
    before = open_outbox(queue_path)
    marked = before.batches.take(Take(20)).batch
    before.close()
    change_the_header_version(queue_path)
    after = open_outbox(queue_path)
    again = after.batches.take(Take(500)).batch
    assert marked is not None
    assert again is not None
    assert (again.key, again.body) == (marked.key, marked.body)
    after.commit.append([b"{}"])
    assert after.waiting.counts().last_id == ROWS + 1
    assert after.waiting.counts().pending == len(rows) + 1
    after.close()


def left_with_its_log(queue_path: Path) -> None:
    """Leave a log with forty rows in it, of an outbox that has forty more in its file."""
    outbox = open_outbox(queue_path)
    outbox.commit.append([b'{"n":%d}' % number for number in range(40)])
    outbox.close()
    outbox = open_outbox(queue_path)
    for number in range(40, 80):  # some of them on pages that only the log has
        outbox.commit.append([b'{"n":%d,"x":"%s"}' % (number, b"y" * 300)])
    log = queue_path.with_name(queue_path.name + "-wal").read_bytes()
    outbox.close()
    queue_path.with_name(queue_path.name + "-wal").write_bytes(log)


@pytest.mark.parametrize("how", ["deleted", "emptied", "replaced by an empty one"])
def test_the_rows_of_a_log_that_has_lost_its_file_are_saved_and_the_others_counted(
    queue_path: Path, how: str
) -> None:
    left_with_its_log(queue_path)
    if how == "emptied":
        os.truncate(queue_path, 0)
    else:
        queue_path.unlink()
    if how.startswith("replaced"):
        queue_path.touch(mode=0o600)
    outbox = open_outbox(queue_path)
    (told,) = [each for each in outbox.pop_incidents() if isinstance(each, DamagedOutboxError)]
    lost = outbox.waiting.counts().lost_total
    outbox.commit.append([b'{"n":"new"}'])
    assert outbox.waiting.counts().last_id == 81
    sent = drain(outbox)[0]
    outbox.close()
    assert {b'{"n":%d,"x":"%s"}' % (number, b"y" * 300) for number in range(40, 80)} <= sent
    assert b'{"n":"new"}' in sent
    assert told.saved == len(sent) - 1
    assert told.lost == lost == 81 - len(sent)
    assert queue_path.with_name(f"{Path(told.path).name}-wal").exists()


def test_the_rows_of_a_log_are_saved_also_where_nothing_is_known_of_the_file_that_was_emptied(
    queue_path: Path,
) -> None:
    left_with_its_log(queue_path)
    os.truncate(queue_path, 0)
    queue_path.with_name(queue_path.name + ".lock").unlink()
    outbox = open_outbox(queue_path)
    told = [type(each) for each in outbox.pop_incidents()]
    sent = drain(outbox)[0]
    outbox.close()
    assert told == [DamagedOutboxError]
    assert {b'{"n":%d,"x":"%s"}' % (number, b"y" * 300) for number in range(40, 80)} <= sent


def test_rows_that_vanished_without_an_error_are_counted_once_nothing_is_left(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    sandbox.faults(status=503)
    told: list[SegOpsError] = []
    client = make_client(max_retries=0, on_error=told.append)
    track(client, 5)
    client.flush(timeout=60)
    with closing(sqlite3.connect(queue_path)) as file:
        file.execute("DELETE FROM queue_outbox WHERE _id > 2")
        file.commit()
    sandbox.faults()
    client.flush(timeout=60)
    track(client, 1, first=5)
    assert client.flush(timeout=60).ok
    assert [error.lost for error in told if isinstance(error, DamagedOutboxError)] == [3]
    assert any(isinstance(error, StorageError) for error in told)
    assert (client.stats().pending, client.stats().lost_total) == (0, 3)


@pytest.mark.parametrize("version", range(1, UNSEALED_VERSION + 1))
def test_a_damaged_file_of_an_older_version_is_read_as_well(queue_path: Path, version: int) -> None:
    queue_path.parent.mkdir()
    rows = [new_row(b'{"n":%d}' % n, Moment(1.5), NO_IDENTITY)[:4] for n in range(100)]
    with closing(sqlite3.connect(queue_path)) as file:
        table = EventQueue._SQL_CREATE.format(table_name="queue_outbox", key_column="_id")
        table = table.replace(" KEY,", " KEY AUTOINCREMENT,")  # as SQLite gave the ids then
        upgrades = "".join(UPGRADES[:version])
        file.executescript(f"{table}; {upgrades} PRAGMA user_version = {version};")
        insert = "INSERT INTO queue_outbox (data, timestamp, crc, identity) VALUES (?, ?, ?, ?)"
        file.executemany(insert, rows)
        file.execute(
            "INSERT INTO dead_letters (row_id, data, identity, tracked_at, died_at, reason, answer)"
            " VALUES (9, x'7b7d', '', 1.5, 2.5, 'so', '')"
        )
        file.execute(
            "INSERT INTO in_flight (first_id, last_id, row_count, identity, batch_key)"
            " VALUES (1, 5, 5, '', 'a key')"
        )
        file.execute("INSERT INTO meta VALUES ('schema', 'a header that was altered')")
        file.commit()
    outbox = open_outbox(queue_path)
    (incident,) = outbox.pop_incidents()
    assert isinstance(incident, DamagedOutboxError)
    assert incident.saved == 100
    batch = outbox.batches.take(Take(20)).batch
    assert batch is not None
    assert batch.key == "a key"
    sent, dead = drain(outbox)
    assert (len(sent), dead) == (100, {b"{}"})
    outbox.close()
