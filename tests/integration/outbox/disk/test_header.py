"""The header: no bit of it loses a row, and what an administrator has set is no damage."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable import DamagedOutboxError
from support.logs import ROWS, drained, event, open_outbox

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.one_python
HEADER_BITS = 800
SAYS_NOTHING = {*range(48, 52), *range(64, 92)}


@pytest.mark.long
@pytest.mark.timeout(600)  # the machine may be busy
def test_no_bit_of_the_header_loses_a_row_or_keeps_a_client_from_storing(
    killed: Path, tmp_path: Path
) -> None:
    stopped = tmp_path / "stopped.db"
    shutil.copy(killed, stopped)
    shutil.copy(killed.with_name(killed.name + "-wal"), tmp_path / "stopped.db-wal")
    open_outbox(stopped).close()
    original = stopped.read_bytes()
    noticed = 0
    for bit in range(HEADER_BITS):
        path = tmp_path / str(bit) / "outbox.db"
        path.parent.mkdir()
        data = bytearray(original)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        where = f"byte {bit // 8}, bit {bit % 8}"
        sent, dead, lost, told = drained(path, b'{"n":"new"}')
        assert sent == [*map(event, range(ROWS)), b'{"n":"new"}'], where
        assert (dead, lost) == ([], 0), where
        says_nothing = bit // 8 in SAYS_NOTHING
        assert not (told and says_nothing), where
        noticed += bool(told)
        shutil.rmtree(path.parent)
    assert noticed > (HEADER_BITS - 8 * len(SAYS_NOTHING)) // 2  # the others are counters


@pytest.fixture
def at_rest(killed: Path, queue_path: Path) -> Path:
    """A file of which everything is in the file itself, as a stopped process leaves it."""
    queue_path.parent.mkdir()
    for end in ("", "-wal"):
        shutil.copy(f"{killed}{end}", f"{queue_path}{end}")
    open_outbox(queue_path).close()
    return queue_path


def administer(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        for statement in statements:
            file.execute(statement).fetchall()


@pytest.mark.parametrize("size", [512, 1024, 2048, 8192, 65536])
def test_a_page_size_that_is_not_the_files_is_not_believed(at_rest: Path, size: int) -> None:
    data = bytearray(at_rest.read_bytes())
    struct.pack_into(">H", data, 16, size % 65535)
    at_rest.write_bytes(data)
    sent, dead, lost, told = drained(at_rest)
    assert sent == [event(number) for number in range(ROWS)]
    assert (dead, lost, len(told)) == ([], 0, 1)


@pytest.mark.parametrize("size", [512, 1024, 2048, 8192, 65536])
def test_the_page_size_of_an_administrator_is_found_without_a_header(
    at_rest: Path, size: int
) -> None:
    resize = f"PRAGMA page_size = {size}"
    administer(at_rest, "PRAGMA journal_mode = DELETE", resize, "VACUUM")
    data = bytearray(at_rest.read_bytes())
    assert len(data) % size == 0
    assert int.from_bytes(data[16:18], "big") == size % 65535
    data[:100] = bytes(100)
    at_rest.write_bytes(data)
    sent, dead, lost, told = drained(at_rest)
    assert sent == [event(number) for number in range(ROWS)]
    assert (dead, lost, len(told)) == ([], 0, 1)


@pytest.mark.parametrize(
    "statements",
    [
        ("PRAGMA application_id = 77",),
        ("PRAGMA default_cache_size = 500",),
        ("PRAGMA auto_vacuum = INCREMENTAL", "VACUUM"),
        ("PRAGMA auto_vacuum = FULL", "VACUUM"),
        ("PRAGMA journal_mode = DELETE", "PRAGMA page_size = 65536", "VACUUM"),
    ],
    ids=lambda statements: statements[-2] if len(statements) > 1 else statements[0],
)
def test_what_an_administrator_has_set_is_no_damage(
    at_rest: Path, statements: tuple[str, ...]
) -> None:
    before = at_rest.read_bytes()[:100]
    administer(at_rest, *statements)
    assert at_rest.read_bytes()[:100] != before
    sent, dead, lost, told = drained(at_rest)
    assert sent == [event(number) for number in range(ROWS)]
    assert (dead, lost, told) == ([], 0, [])


def test_a_header_that_claims_a_map_of_pointers_is_damaged_if_there_is_none(at_rest: Path) -> None:
    data = bytearray(at_rest.read_bytes())
    data[55] ^= 4
    at_rest.write_bytes(data)
    outbox = open_outbox(at_rest)
    told = outbox.pop_incidents()
    outbox.close()
    assert [type(each) for each in told] == [DamagedOutboxError]  # before anything is written
    sent, dead, lost, _ = drained(at_rest)
    assert sent == [event(number) for number in range(ROWS)]
    assert (dead, lost) == ([], 0)
