"""`FORMAT.md` says what is on the disk; here it is compared with files that the code makes."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import zlib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import segops_durable.outbox
from segops_durable.outbox import Letter, Outbox, Settlement, Take
from segops_durable.outbox.records.letters import Cause
from segops_durable.outbox.records.schema import (
    CREATE_QUEUE,
    LANES_VERSION,
    QUEUE,
    SCHEMA_VERSION,
    SELECT,
    UPGRADES,
)
from segops_durable.outbox.store.keeping import Keeping
from segops_durable.outbox.store.moving import move_to_new_inode
from support.clock import MovableClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.one_python

PAGE = (Path(segops_durable.outbox.__file__).parent / "FORMAT.md").read_text(encoding="utf-8")
EVENT = b'{"user_id":"u","event_type":"e","occurred_at":"2026-01-01T00:00:00.000Z","payload":{}}'


def section(title: str) -> str:
    """What is below a heading, up to the next of any level."""
    start = PAGE.index(f"\n{title}\n") + len(title) + 2
    following = re.search(r"^#+ ", PAGE[start:], re.MULTILINE)
    return PAGE[start : start + following.start() if following else None]


def rows_below(title: str, head: str) -> list[list[str]]:
    """The cells of the table with that first column, below a heading; without backquotes."""
    text = section(title)
    table = text[text.index(f"| {head} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in table]


def tables() -> list[str]:
    return re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE)


def columns_of(connection: sqlite3.Connection, table: str) -> list[tuple[str, str]]:
    found = connection.execute(f"PRAGMA table_info({table})").fetchall()
    return [(name, kind) for _, name, kind, *_ in found]


@pytest.fixture
def outbox(queue_path: Path) -> Iterator[Outbox]:
    made = Outbox(queue_path, api_url="https://a.example", key_fingerprint="k")
    yield made
    made.close()


@pytest.fixture
def look(outbox: Outbox, queue_path: Path) -> Iterator[Callable[[str], list[tuple[object, ...]]]]:
    outbox.commit.append([EVENT] * 3, "user:u")
    with closing(sqlite3.connect(queue_path)) as file:
        yield lambda sql: file.execute(sql).fetchall()


@pytest.mark.parametrize("table", tables())
def test_each_table_has_the_columns_that_are_named_in_their_order(
    outbox: Outbox, queue_path: Path, table: str
) -> None:
    named = [(name, kind) for name, kind, *_ in rows_below(f"### `{table}`", "Column")]
    outbox.commit.append([EVENT])
    with closing(sqlite3.connect(queue_path)) as file:
        assert columns_of(file, table) == named


def test_each_table_and_each_index_of_the_file_is_named(
    look: Callable[[str], list[tuple[object, ...]]],
) -> None:
    found = look("SELECT name FROM sqlite_master WHERE type = 'table'")
    assert {name for (name,) in found} == set(tables())
    found = look("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    assert {name for (name,) in found} == set(re.findall(r"^Index `(\w+)`", PAGE, re.MULTILINE))


@pytest.mark.parametrize("table", tables())
def test_each_column_came_with_the_version_that_is_named(table: str) -> None:
    since: dict[str, int] = {}
    for version in range(1, SCHEMA_VERSION + 1):
        with closing(sqlite3.connect(":memory:")) as file:
            file.execute(CREATE_QUEUE.format(table_name=QUEUE, key_column="_id"))
            file.executescript("".join(UPGRADES[:version]))
            for name, _ in columns_of(file, table):
                since.setdefault(name, version)
    assert {name: int(each) for name, _, each, _ in rows_below(f"### `{table}`", "Column")} == since


def test_each_version_is_named() -> None:
    versions = [int(number) for number, _ in rows_below("## Files of older versions", "Version")]
    assert versions == list(range(1, LANES_VERSION + 1))


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_the_settings_are_those_that_are_named(tmp_path: Path, durability: str) -> None:
    made = Outbox(
        tmp_path / "outbox.db",
        api_url="https://a.example",
        key_fingerprint="k",
        durability=durability,  # type: ignore[arg-type]  # it is one of the two
    )
    named = {name: value for name, value, _ in rows_below("## The SQLite file", "Setting")}
    if durability == "normal":
        named |= {"synchronous": "1", "fullfsync": "0", "checkpoint_fullfsync": "0"}
    writer = made._store._live.current().writer
    found = {name: str(writer.execute(f"PRAGMA {name}").fetchone()[0]) for name in named}
    made.close()
    assert found == named


def test_each_note_is_named(tmp_path: Path) -> None:
    named = {name for name, _ in rows_below("### `meta`", "Name")}
    said: list[str] = []
    clock = MovableClock()
    outboxes = [
        Outbox(
            tmp_path / name,
            api_url="https://a.example",
            key_fingerprint="k",
            clock=clock,
            max_age=3600.0,
        )
        for name in ("outbox.db", "other.db")
    ]
    outbox, other = outboxes
    outbox.commit.append([EVENT], "user:u")
    clock.move(7200.0)
    outbox.expiry.sweep(())
    outbox.dead_letters.retry()
    outbox.keep_order(600.0, 30.0)
    outbox.erasure.forget("u")
    other.commit.append([EVENT])
    outbox._store._live.current().writer.set_trace_callback(said.append)
    outbox.adopt(other)  # notes how far it has come, and removes that in the end
    found = set(re.findall(r"adopting ", " ".join(said)))
    outbox.repair("as if")  # notes what was set aside
    for each in outboxes:
        each.close()
    copy = tmp_path / "copy.db"
    shutil.copy(tmp_path / "outbox.db", copy)  # its ids may be given by another as well
    Outbox(copy, api_url="https://a.example", key_fingerprint="k").close()
    move_to_new_inode(copy)
    with closing(Outbox(copy, api_url="https://a.example", key_fingerprint="k")) as replaced:
        replaced.commit.append([EVENT])
        before = replaced._store._live.current()
        shutil.copy(copy, tmp_path / "backup.db")
        (tmp_path / "backup.db").replace(copy)
        Keeping(copy, lambda: "copy.db.damaged-now").keep(before)
        found |= {name for (name,) in before.writer.execute("SELECT name FROM meta")}
    assert {re.sub(r"^(adopting |aside:).*", r"\1…", name) for name in found} == named


def test_the_ledger_is_where_it_is_said_to_be_and_what(outbox: Outbox, queue_path: Path) -> None:
    outbox.commit.append([EVENT] * 3)
    batch = outbox.batches.take(Take(2)).batch
    assert batch is not None
    outbox.batches.settle(Settlement(batch, 2), None)
    data = queue_path.with_name(queue_path.name + ".lock").read_bytes()[1:33]
    numbers = []
    for record in (data[:16], data[16:]):
        owner, number, check = struct.unpack("<IqI", record)
        assert owner == zlib.crc32(outbox.owner.uuid.encode())
        assert check == zlib.crc32(record[:12])
        numbers.append(number)
    assert numbers == [3, 2]


def test_the_checksums_are_those_that_are_described(
    outbox: Outbox, look: Callable[[str], list[tuple[object, ...]]]
) -> None:
    (row,) = look("SELECT data, identity, timestamp, crc FROM queue_outbox LIMIT 1")
    data, identity, timestamp, crc = row
    assert isinstance(data, bytes)
    assert isinstance(identity, str)
    stamp = struct.pack("<ddq", timestamp, -1.0, -1)
    assert crc == zlib.crc32(data + identity.encode() + stamp)
    batch = outbox.batches.take(Take(1, "user:u")).batch
    assert batch is not None
    letter = Letter(Cause.REFUSED, "no", 400)
    outbox.batches.settle(Settlement(batch, 0, letter), None)
    for table, select in SELECT.items():
        for *values, seal in look(select):
            assert seal == zlib.crc32(ascii((table, *values)).encode())


LIFE = """
import json, os, sys
from pathlib import Path
from segops_durable.outbox import Outbox

home, seen = Path(sys.argv[1]), set()


def look(event, _arguments):
    if event in {"open", "os.rename", "os.remove"}:
        seen.update(os.listdir(home))


def opened():
    return Outbox(home / "outbox.db", api_url="https://a.example", key_fingerprint="k")


sys.addaudithook(look)
outbox = opened()
outbox.commit.append([b"{}"] * 1000)
assert outbox.sender_lock.try_acquire()
outbox.close()
with (home / "outbox.db").open("r+b") as file:  # damage
    file.seek(3 * 4096)
    file.write(bytes(4096))
outbox = opened()
os.closerange(3, 256)  # as daemons do
outbox.commit.append([b"{}"])
seen.update(os.listdir(home))
print(json.dumps(sorted(seen)), flush=True)
os._exit(0)
"""


def test_each_file_that_is_ever_made_is_named_and_each_that_is_named_is_made(
    tmp_path: Path,
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LIFE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    made = {
        re.sub(r"^(outbox\.db\.[a-z]+(-\d+T\d+)?)(-wal|-shm)$", r"\1", name)
        for name in json.loads(ran.stdout)
    }
    found = {re.sub(r"-\d{8}T\d{6}(-\d+)?$", "-YYYYMMDDTHHMMSS", name) for name in made}
    assert found == {name for name, *_ in rows_below("## The files", "File")}
