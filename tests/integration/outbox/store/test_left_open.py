"""A connection that SQLite keeps open, as one of its statements has not ended, takes nothing."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from support.damaged import URL, drain, open_outbox

if TYPE_CHECKING:
    from pathlib import Path

CLOSE_AS_THE_LAST = """
import sys
from pathlib import Path
from segops_durable.outbox import Outbox

Outbox(Path(sys.argv[1]), api_url=sys.argv[2], key_fingerprint="k").close()
"""


@pytest.mark.parametrize("is_known", [True, False])
def test_another_process_does_not_take_itself_for_the_last_that_has_the_file_open(
    queue_path: Path, *, is_known: bool
) -> None:
    """It would delete the log, and what is stored in that from then on would be lost."""
    outbox = open_outbox(queue_path)
    outbox.commit.append([b'{"n":%d}' % number for number in range(10)])
    live = outbox._store._live
    live.current().writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    unfinished = live.current().writer.execute("SELECT _id FROM queue_outbox")
    unfinished.fetchone()
    if not is_known:
        live.current().writer._cursors.clear()
    live.drop()  # as after an error of the disk
    outbox.commit.append([b'{"n":10}'])
    log = queue_path.with_name(queue_path.name + "-wal")
    before = log.stat().st_ino
    other = [sys.executable, "-c", CLOSE_AS_THE_LAST, str(queue_path), URL]
    subprocess.run(other, check=True)
    assert log.stat().st_ino == before
    outbox.commit.append([b'{"n":11}'])
    outbox.close()
    del unfinished
    with closing(open_outbox(queue_path)) as again:
        assert drain(again)[0] == {b'{"n":%d}' % number for number in range(12)}
        assert again.pop_incidents() == []
