"""SQLite differs from system to system: in how many parameters a statement may have, say."""

from __future__ import annotations

import sqlite3
import sys
from typing import TYPE_CHECKING

import pytest

from segops_durable.outbox.store.event_queue import _limits_of_build
from support.events import numbered, numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

SMALL = [
    ("SQLITE_LIMIT_VARIABLE_NUMBER", 999),
    ("SQLITE_LIMIT_VARIABLE_NUMBER", 30),
    ("SQLITE_LIMIT_SQL_LENGTH", 2000),
]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="limits cannot be set")
@pytest.mark.parametrize(("limit", "value"), SMALL)
def test_a_build_of_sqlite_with_small_limits_stores_and_sends_everything(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, limit: str, value: int
) -> None:
    client = make_client(batch_size=500, flush_interval=300)
    queue = client._outbox._store._live._queue
    assert queue is not None
    for connection in (queue.reader, queue.writer):
        connection.setlimit(getattr(sqlite3, limit), value)  # type: ignore[attr-defined,unused-ignore]  # Python 3.11
    assert client.track_many(numbered(1200)) == 1200
    client.track_many(numbered(1200, 1200), checkpoint=("job", 1))
    assert client.flush(timeout=60).ok
    assert sorted(numbers(sandbox)) == list(range(2400))
    assert client.discard_dead_letters(range(1, 1200)) == 0


def test_where_nothing_tells_the_limits_those_of_the_build_hold() -> None:
    connection = sqlite3.connect(":memory:")
    variables, text = _limits_of_build(connection)
    marks = ",".join("?" * variables)
    connection.execute(f"SELECT 1 WHERE 1 IN ({marks})", [1] * variables).fetchall()
    with pytest.raises(sqlite3.OperationalError, match="too many"):
        connection.execute(f"SELECT 1 WHERE 1 IN ({marks}, ?)", [1] * (variables + 1))
    assert text >= 1_000_000
    connection.close()
