from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from segops_durable.system.descriptors import open_descriptors
from segops_durable.system.filelock import FileLock

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from segops_durable.system.filelock import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire(10)
print("held", flush=True)
sys.stdin.read()
"""


def test_two_locks_on_one_file_exclude_each_other_in_one_process(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire(10)
    assert not second.try_acquire()
    first.release()
    assert second.try_acquire()
    second.close()
    second.close()
    assert first.try_acquire()
    first.close()


def test_a_lock_is_freed_when_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock(path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert not lock.try_acquire()
        holder.kill()
        holder.wait()
        assert lock.try_acquire()
    lock.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no reading from a place there")
def test_a_program_that_takes_our_descriptor_while_we_read_keeps_its_place(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    before = set(open_descriptors())
    assert lock.try_acquire()
    (ours,) = set(open_descriptors()) - before
    theirs = os.open(tmp_path / "theirs", os.O_RDWR | os.O_CREAT)
    os.dup2(theirs, ours)  # as if it had closed ours just now, and opened a file by that number
    lock.kept(0, 8)
    os.write(ours, b"theirs")
    os.close(theirs)
    os.close(ours)
    assert (tmp_path / "theirs").read_bytes() == b"theirs"
