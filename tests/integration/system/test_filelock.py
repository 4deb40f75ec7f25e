from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

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
