from __future__ import annotations

import os
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable import DamagedOutboxError
from segops_durable.outbox import Take
from segops_durable.outbox.disk.log import read_log
from segops_durable.outbox.records.batch import Settlement
from segops_durable.outbox.store.inspection import inspect
from segops_durable.outbox.store.recognizing import refuse_damaged
from support.logs import FRAME, PAGE, ROWS, drained, event, open_outbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.one_python


def flip(place: int, bit: int) -> Callable[[bytearray], None]:
    def alter(data: bytearray) -> None:
        data[place] ^= 1 << bit

    return alter


def test_a_log_that_is_whole_is_recovered_without_a_word(spoiled: Callable[..., Path]) -> None:
    sent, dead, lost, told = drained(spoiled(lambda _data: None))
    assert sent == [event(number) for number in range(ROWS)]
    assert (dead, lost, told) == ([], 0, [])


@pytest.mark.parametrize("tenth", range(10))
def test_a_bit_that_flips_anywhere_in_the_log_loses_nothing_in_silence_and_spares_the_rest(
    spoiled: Callable[..., Path], killed: Path, tenth: int
) -> None:
    size = killed.with_name(killed.name + "-wal").stat().st_size
    for place in range(size * tenth // 10, size * (tenth + 1) // 10, 4999):
        sent, dead, lost, told = drained(spoiled(flip(place, place % 8)))
        where = f"byte {place}: {told}"
        assert len(set(sent)) == len(sent), where
        assert set(sent) <= {event(number) for number in range(ROWS)}, where
        assert len(sent) + len(dead) + lost == ROWS, where
        assert len(sent) >= ROWS - 1, where  # a bit is in one row at most
        assert told or len(sent) == ROWS or dead, where


@pytest.mark.parametrize("place", range(0, 32, 3))
def test_the_rows_of_a_log_whose_header_is_damaged_are_all_there(
    spoiled: Callable[..., Path], place: int
) -> None:
    sent, dead, lost, told = drained(spoiled(flip(place, 2)))
    assert sent == [event(number) for number in range(ROWS)]
    assert (dead, lost, len(told)) == ([], 0, 1)


def cut(data: bytearray) -> None:
    del data[len(data) // 2 :]


def empty(data: bytearray) -> None:
    data.clear()


@pytest.mark.parametrize("alter", [cut, empty])
def test_a_log_that_was_cut_is_told_of_and_its_ids_are_not_given_again(
    spoiled: Callable[..., Path], alter: Callable[[bytearray], None]
) -> None:
    path = spoiled(alter)
    outbox = open_outbox(path)
    (incident,) = [each for each in outbox.pop_incidents() if isinstance(each, DamagedOutboxError)]
    counts = outbox.waiting.counts()
    outbox.commit.append([b'{"n":"new"}'])
    newest = outbox.waiting.counts().last_id
    outbox.close()
    assert incident.lost == counts.lost_total > 0
    assert counts.pending + counts.lost_total == ROWS
    assert newest == ROWS + 1


@pytest.mark.parametrize("is_sent", [False, True])
def test_rows_that_only_an_earlier_log_still_has_are_saved_unless_they_may_have_been_sent(
    queue_path: Path, is_sent: bool
) -> None:
    outbox = open_outbox(queue_path)
    for number in range(ROWS):
        outbox.commit.append([event(number)])
    if is_sent:
        batch = outbox.batches.take(Take(20)).batch
        assert batch is not None
        outbox.batches.settle(Settlement(batch, 20), Take(20))
    with closing(sqlite3.connect(queue_path)) as file:  # the log begins anew, over itself
        file.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    outbox.commit.append([event(ROWS)])
    log = queue_path.with_name(queue_path.name + "-wal").read_bytes()
    outbox.close()
    queue_path.unlink()
    queue_path.with_name(queue_path.name + "-wal").write_bytes(log)
    sent, dead, lost, told = drained(queue_path)
    first = 20 if is_sent else 0
    assert sorted(sent) == sorted(event(number) for number in range(first, ROWS + 1))
    assert (dead, lost, len(told)) == ([], 0, 1)


def test_an_end_that_a_power_cut_tore_is_no_damage(spoiled: Callable[..., Path]) -> None:
    def tear(data: bytearray) -> None:
        """Add a commit of two frames, of which the first has not reached the disk whole."""
        log = read_log(bytes(data))
        end = log.frames[-1].start + PAGE
        last = data[end - FRAME : end]
        torn = last[:16] + bytes(8) + last[24:1024] + bytes(FRAME - 1024)
        struct.pack_into(">I", torn, 4, 0)
        data[end : end + 2 * FRAME] = torn + last

    sent, dead, lost, told = drained(spoiled(tear))
    assert sent == [event(number) for number in range(ROWS)]
    assert (dead, lost, told) == ([], 0, [])


def test_a_file_that_a_kill_left_without_any_table_is_no_damage(queue_path: Path) -> None:
    queue_path.parent.mkdir()
    with closing(sqlite3.connect(queue_path)) as file:
        file.execute("PRAGMA journal_mode=WAL").fetchall()
    outbox = open_outbox(queue_path)
    outbox.commit.append([event(1)])
    assert outbox.pop_incidents() == []
    outbox.close()


WRITING = """
import sys
from pathlib import Path
from segops_durable.outbox import Outbox

outbox = Outbox(Path(sys.argv[1]), api_url="https://api.segops.ai", key_fingerprint="k")
outbox.commit.append([b"{}"])
print("begun", flush=True)
while True:
    outbox.commit.append([b'{"n":1}'])
"""


def test_a_look_beside_somebody_who_writes_sees_no_damage(queue_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITING, str(queue_path)], stdout=subprocess.PIPE, text=True
    ) as writing:
        assert writing.stdout is not None
        assert writing.stdout.readline() == "begun\n"
        try:
            for _ in range(100):
                refuse_damaged(queue_path)
            assert writing.poll() is None
        finally:
            writing.kill()


LOCKING = """
import fcntl, sys

OPENED_AT = 128  # UNIX_SHM_DMS, the "dead man switch" of SQLite's os_unix.c
with open(sys.argv[1], "r+b") as index:
    try:
        fcntl.lockf(index, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, OPENED_AT)
    except BlockingIOError:
        print("in use")
    else:
        print("free")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there a lock belongs to its descriptor")
def test_the_index_stays_locked_while_it_is_read(spoiled: Callable[..., Path]) -> None:
    path = spoiled(lambda _data: None)
    found = []

    def another_process_asks(_uuid: str) -> None:
        index = str(path.with_name(path.name + "-shm"))
        asking = [sys.executable, "-c", LOCKING, index]
        found.append(subprocess.check_output(asking, text=True).strip())

    inspect(path, another_process_asks)
    assert found == ["in use"]  # whoever finds it free cuts it, and who has it mapped dies


BOUNDED = """
import resource, sys
from pathlib import Path
from segops_durable.outbox import Outbox

resource.setrlimit(resource.RLIMIT_AS, (500 << 20, 500 << 20))
outbox = Outbox(Path(sys.argv[1]), api_url="https://api.segops.ai", key_fingerprint="k")
print(outbox.waiting.counts().pending, outbox.waiting.counts().lost_total)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="its memory is bounded by Linux")
def test_a_log_that_a_power_cut_left_with_a_gigabyte_of_zeros_is_not_held_in_memory(
    spoiled: Callable[..., Path],
) -> None:
    path = spoiled(lambda _data: None)
    os.truncate(path.with_name(path.name + "-wal"), 1 << 30)
    found = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(path)], check=True, capture_output=True, text=True
    )
    assert found.stdout.split() == [str(ROWS), "0"]
