"""A disk that lies: whatever happens to the file, the outbox opens, and says what it lost."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import DamagedOutboxError, ReplacedOutboxError, StorageError
from segops_durable.clock import Moment
from segops_durable.identity import NO_IDENTITY
from segops_durable.outbox import Cause, Outbox, Take
from segops_durable.outbox.event_queue import UPGRADES, EventQueue
from segops_durable.outbox.rows import Settlement, checksum, new_row
from support.events import numbers, track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient, SegOpsError
    from segops_durable.sandbox import Sandbox

ROWS = 10_000
FLIPS = 200
URL = "https://api.segops.ai"


def open_outbox(path: Path) -> Outbox:
    return Outbox(path, api_url=URL, key_fingerprint="k")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[bytes]]:
    """A closed outbox of 10,000 rows of many lengths, with a batch in flight."""
    path = tmp_path_factory.mktemp("pristine") / "outbox.db"
    chance = random.Random(2026)
    rows = [b'{"n":%d,"x":"%s"}' % (n, b"y" * chance.randrange(200)) for n in range(ROWS)]
    outbox = open_outbox(path)
    for start in range(0, ROWS, 500):
        outbox.append(rows[start : start + 500])
    outbox.take(Take(20))
    outbox.close()
    return path, set(rows)


def drain(outbox: Outbox) -> tuple[set[bytes], set[bytes]]:
    """Settle all that waits; return what was sent, and what is in the dead letters."""
    sent: set[bytes] = set()
    is_promising = True
    while is_promising:
        is_promising = False
        for identity in {*outbox.identities(), NO_IDENTITY}:
            batch = outbox.take(Take(2000, identity)).batch
            while batch is not None:
                is_promising = True
                sent |= {row.data for row in batch.rows}
                done = Settlement(batch, len(batch.rows))
                batch = outbox.settle(done, Take(2000, identity)).batch
    return sent, {letter.data for letter in outbox.dead_letters}


def readable(path: Path) -> set[bytes]:
    """The intact rows that SQLite itself can still read, each asked for alone if need be."""
    found: set[bytes] = set()

    def read(first: int, last: int) -> None:
        sql = "SELECT data, crc, identity, uptime, boot FROM queue_outbox WHERE _id BETWEEN ? AND ?"
        try:
            rows = file.execute(sql, (first, last)).fetchall()
        except sqlite3.Error:
            if first < last:
                middle = (first + last) // 2
                read(first, middle)
                read(middle + 1, last)
            return
        for data, crc, identity, *stamp in rows:
            if isinstance(data, bytes) and isinstance(identity, str):
                found.update([data] if checksum(data, identity, *stamp) == crc else [])

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
        outbox.append([b'{"n":"new"}'])
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
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    sandbox.stop()
    client = make_client(max_retries=0)
    track(client, 3000)
    client.shutdown(0)
    with queue_path.open("r+b") as file:
        file.seek(queue_path.stat().st_size // 2)
        file.write(bytes(range(256)) * 16)  # one page
    sandbox.start()
    told: list[SegOpsError] = []
    client = make_client(on_error=told.append, batch_size=500)
    track(client, 1, first=3000)
    client.flush(timeout=60)
    damage = [error for error in told if isinstance(error, DamagedOutboxError)]
    dead = client.stats().dead
    assert damage or dead
    arrived = set(numbers(sandbox))
    lost = sum(error.lost or 0 for error in damage)
    assert len(arrived) + dead + lost == 3001
    assert len(arrived) > 2800
    assert 3000 in arrived
    if damage:
        assert "damaged-" in damage[0].path
        assert list(queue_path.parent.glob("outbox.db.damaged-*"))


def damage_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"not a database at all, says the disk")


def cut_in_half(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def fill_with_zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def fill_with_noise(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def forget_the_schema(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA writable_schema = ON")
        file.execute("DELETE FROM sqlite_master WHERE name = 'in_flight'")
        file.commit()


def forget_the_tally(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("DELETE FROM tally")
        file.commit()


def change_the_header_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version = 77")


@pytest.mark.parametrize(
    ("spoil", "is_readable"),
    [
        (damage_header, False),
        (cut_in_half, True),
        (fill_with_zeros, False),
        (fill_with_noise, False),
        (forget_the_schema, True),
        (forget_the_tally, True),
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
    spoil(queue_path)
    outbox = open_outbox(queue_path)
    outbox.append([b"{}"])
    sent, dead = drain(outbox)
    (incident,) = outbox.pop_incidents()
    lost_total = outbox.counts().lost_total
    outbox.close()
    assert isinstance(incident, DamagedOutboxError)
    assert sent <= rows | {b"{}"}
    assert b"{}" in sent
    assert (incident.saved > 0) == is_readable
    assert lost_total == (incident.lost or 0)
    if incident.lost is not None:
        assert incident.saved + incident.lost == ROWS
    assert incident.saved <= len(sent | dead)


def test_ids_and_the_batch_in_flight_are_kept_where_they_can_be_read(
    pristine: tuple[Path, set[bytes]], queue_path: Path
) -> None:
    original, rows = pristine
    queue_path.parent.mkdir()
    shutil.copy(original, queue_path)
    before = open_outbox(queue_path)
    marked = before.take(Take(20)).batch
    before.close()
    change_the_header_version(queue_path)
    after = open_outbox(queue_path)
    again = after.take(Take(500)).batch
    assert marked is not None
    assert again is not None
    assert (again.key, again.body) == (marked.key, marked.body)
    after.append([b"{}"])
    assert after.counts().last_id == ROWS + 1
    assert after.counts().pending == len(rows) + 1
    after.close()


def test_damage_that_shows_while_the_file_is_open_is_mended_within_the_call(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    sandbox.faults(status=503)
    told: list[SegOpsError] = []
    client = make_client(max_retries=0, on_error=told.append, batch_size=500)
    blob = "x" * 1000  # more than SQLite keeps in memory
    client.track_many(
        {"user_id": "u", "event_type": "e", "payload": {"n": n, "blob": blob}} for n in range(8000)
    )
    client.flush(timeout=10)
    client._outbox._store._current().writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    fill_with_noise(queue_path)
    for number in range(8000, 8300):
        track(client, 1, first=number)  # none of them raises
    sandbox.faults()
    assert client.flush(timeout=30).ok
    assert set(range(8000, 8300)) <= set(numbers(sandbox))
    assert any(isinstance(error, DamagedOutboxError) for error in told)


def test_two_who_have_the_file_open_agree_after_damage(queue_path: Path) -> None:
    first, second = open_outbox(queue_path), open_outbox(queue_path)
    rows = {b'{"n":%d,"x":"%s"}' % (n, b"y" * 1000) for n in range(8000)}
    first.append(sorted(rows))
    first._store._current().writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with queue_path.open("r+b") as file:
        file.seek(5 * 4096)
        file.write(bytes(4096 * 20))
    sent, dead = drain(first)
    second.append([b'{"n":"second"}'])
    first.append([b'{"n":"first"}'])
    again, _ = drain(second)
    assert again == {b'{"n":"first"}', b'{"n":"second"}'}
    lost = sum(getattr(each, "lost", 0) for each in first.pop_incidents())
    assert lost > 0
    assert len(rows - sent - dead) <= lost
    assert [type(each) for each in second.pop_incidents()] == [ReplacedOutboxError]
    first.close()
    second.close()


def test_a_file_that_was_deleted_while_it_was_open_is_made_again_with_what_waited(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    sandbox.faults(status=503)
    told: list[SegOpsError] = []
    client = make_client(max_retries=0, on_error=told.append)
    track(client, 30)
    client.flush(timeout=10)
    for each in queue_path.parent.glob("outbox.db*"):
        if each.suffix not in {".lock", ".sender"}:
            each.unlink()
    track(client, 1, first=30)
    sandbox.faults()
    assert client.flush(timeout=30).ok
    assert sorted(numbers(sandbox)) == list(range(31))
    (incident,) = [error for error in told if isinstance(error, ReplacedOutboxError)]
    assert "30 events were carried over" in str(incident)
    client.shutdown()
    assert make_client().stats().pending == 0


def test_a_file_that_was_replaced_while_it_was_open_is_noticed(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path, tmp_path: Path
) -> None:
    sandbox.faults(status=503)
    other = make_client(queue_path=tmp_path / "other.db", max_retries=0)
    track(other, 2, first=100)
    other.shutdown(0)
    told: list[SegOpsError] = []
    client = make_client(max_retries=0, on_error=told.append)
    track(client, 1)
    (tmp_path / "other.db").replace(queue_path)
    for each in queue_path.parent.glob("outbox.db-*"):
        each.unlink()
    track(client, 1, first=1)
    sandbox.faults()
    assert client.flush(timeout=30).ok
    assert {1, 100, 101} <= set(numbers(sandbox))
    assert any(isinstance(error, ReplacedOutboxError) for error in told)


def test_a_log_without_its_file_is_not_read_into_a_new_one(queue_path: Path) -> None:
    outbox = open_outbox(queue_path)
    outbox.append([b'{"n":1}'])
    copies = {end: (queue_path.with_name(queue_path.name + end)).read_bytes() for end in ("-wal",)}
    outbox.close()
    queue_path.unlink()
    for end, data in copies.items():
        queue_path.with_name(queue_path.name + end).write_bytes(data)
    outbox = open_outbox(queue_path)
    outbox.append([b'{"n":2}'])
    assert drain(outbox)[0] == {b'{"n":2}'}
    assert any(isinstance(error, ReplacedOutboxError) for error in outbox.pop_incidents())
    outbox.close()


def test_rows_that_vanished_without_an_error_are_counted_once_nothing_is_left(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    sandbox.faults(status=503)
    told: list[SegOpsError] = []
    client = make_client(max_retries=0, on_error=told.append)
    track(client, 5)
    client.flush(timeout=10)
    with closing(sqlite3.connect(queue_path)) as file:
        file.execute("DELETE FROM queue_outbox WHERE _id > 2")
        file.commit()
    sandbox.faults()
    client.flush(timeout=10)
    track(client, 1, first=5)
    assert client.flush(timeout=10).ok
    assert any("3 waiting events are not in" in str(error) for error in told)
    assert any(isinstance(error, StorageError) for error in told)
    assert (client.stats().pending, client.stats().lost_total) == (0, 3)


def test_an_event_whose_user_was_altered_is_not_sent_for_somebody_else(queue_path: Path) -> None:
    outbox = open_outbox(queue_path)
    outbox.append([b'{"n":1}'], "user:ann")
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
    outbox.append([b'{"n":1}', b'{"n":2}'])
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
    outbox.append([b'{"n":3}'])
    sent, dead = drain(outbox)
    assert {b'{"n":2}', b'{"n":3}'} <= sent
    assert len(sent) + len(dead) == 3
    outbox.counts()
    outbox.close()


def test_a_row_whose_place_in_the_file_is_damaged_blocks_nothing_and_is_not_sent_for_ever(
    tmp_path: Path,
) -> None:
    original = tmp_path / "original" / "outbox.db"
    rows = {b'{"n":%d}' % number for number in range(500)}
    outbox = open_outbox(original)
    outbox.append(sorted(rows))
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
            batch = outbox.take(Take(20)).batch
            while batch is not None:
                sent.update(row.data for row in batch.rows)
                assert sent.total() < 1100, f"it is sent over and over: {where}"
                batch = outbox.settle(Settlement(batch, len(batch.rows)), Take(20)).batch
            told = sum(getattr(each, "lost", 0) for each in outbox.pop_incidents())
            dead = {letter.data for letter in outbox.dead_letters}
            # the row itself, which may lie there with other bytes, or what was told of
            assert len(rows - set(sent) - dead) <= max(1, told) <= 5, where
            outbox.close()


@pytest.mark.parametrize("version", range(1, len(UPGRADES)))
def test_a_damaged_file_of_an_older_version_is_read_as_well(queue_path: Path, version: int) -> None:
    queue_path.parent.mkdir()
    rows = [new_row(b'{"n":%d}' % n, Moment(1.5), NO_IDENTITY)[:4] for n in range(100)]
    with closing(sqlite3.connect(queue_path)) as file:
        table = EventQueue._SQL_CREATE.format(table_name="queue_outbox", key_column="_id")
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
    batch = outbox.take(Take(20)).batch
    assert batch is not None
    assert batch.key == "a key"
    sent, dead = drain(outbox)
    assert (len(sent), dead) == (100, {b"{}"})
    outbox.close()
