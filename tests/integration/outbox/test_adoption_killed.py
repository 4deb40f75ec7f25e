"""An adoption that is killed at any line goes on, and loses and doubles nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.one_python
KILLED = """
import itertools, json, os, shutil, sys
from pathlib import Path
from segops_durable.events import Event, encode_event
from segops_durable.outbox import Letter, Cause, Outbox, Settlement, Take
from segops_durable.outbox.records import walking

walking.PAGE_ROWS = 2
home = Path(sys.argv[1])


def event(number):
    return encode_event(Event("u", "t", payload={"n": number}))


def outbox(directory, name):
    return Outbox(directory / name, api_url="https://a.example", key_fingerprint=name)


def in_a_child(action):
    pid = os.fork()
    if pid == 0:
        action()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def prepare():
    source = outbox(home / "template", "source.db")
    source.commit.append([event(0)])
    batch = source.batches.take(Take(1)).batch
    source.batches.settle(Settlement(batch, 0, Letter(Cause.REFUSED, "no")), None)
    source.commit.append([event(number) for number in (1, 2)])
    key = source.batches.take(Take(2)).batch.key
    source.commit.append([event(number) for number in (3, 4, 5)])
    source.close()
    (home / "key").write_text(key)
    target = outbox(home / "template", "target.db")
    target.commit.append([event(9)])
    target.close()


def adopt(directory, die_at=None):
    source, target = outbox(directory, "source.db"), outbox(directory, "target.db")
    assert source.sender_lock.try_acquire()
    lines = 0

    def trace(frame, what, _):
        nonlocal lines
        code = frame.f_code
        is_in = code.co_filename.endswith("adoption.py") or code.co_name == "in_transaction"
        if what == "line" and is_in:
            lines += 1
            if lines == die_at:
                os.kill(os.getpid(), 9)
        return trace

    if die_at is not None:
        sys.settrace(trace)
    target.adopt(source)
    sys.settrace(None)
    source.close()
    target.close()


def check(directory):
    source, target = outbox(directory, "source.db"), outbox(directory, "target.db")
    found = sorted(json.loads(row.data)["payload"]["n"] for row in target.waiting.peek(100))
    letters = [each.event["payload"]["n"] for each in target.dead_letters]
    left = source.waiting.counts()
    batch = target.batches.take(Take(20)).batch
    pending = target.waiting.counts().pending
    source.close()
    target.close()
    state = found, letters, (left.pending, left.dead), pending, batch.key, len(batch.rows)
    assert state == ([1, 2, 3, 4, 5, 9], [0], (0, 0), 6, (home / "key").read_text(), 2), state


in_a_child(prepare)
for die_at in itertools.count(int(sys.argv[2]), 2):
    directory = home / str(die_at)
    shutil.copytree(home / "template", directory)
    status = in_a_child(lambda: adopt(directory, die_at))
    assert in_a_child(lambda: adopt(directory)) == 0, die_at
    assert in_a_child(lambda: check(directory)) == 0, die_at
    shutil.rmtree(directory)
    if status == 0:
        break
print(die_at)
"""


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", [1, 2], ids=["odd lines", "even lines"])
def test_an_adoption_that_is_killed_at_any_line_goes_on_and_loses_and_doubles_nothing(
    tmp_path: Path, first: int
) -> None:
    (tmp_path / "template").mkdir()
    result = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(first)],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 100, "it was killed at that many lines"
