"""What a damaged file says is text, a number, or an error of SQLite's: nothing else comes out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable.outbox import Outbox, Take, scan
from segops_durable.outbox.store.boundary import Connection, open_read_only

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

URL = "https://api.segops.ai"


def open_outbox(path: Path) -> Outbox:
    return Outbox(path, api_url=URL, key_fingerprint="k")


def damage_a_name_in_the_schema(path: Path) -> None:
    """Make SQLite's own message about the schema one that is no UTF-8."""
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[data.index(b"in_flight_identity") + 5] = 0xB4
    path.write_bytes(data)


def test_a_schema_that_is_no_text_any_more_is_damage_and_costs_no_event(queue_path: Path) -> None:
    outbox = open_outbox(queue_path)
    outbox.commit.append([b'{"n":%d}' % n for n in range(50)])
    outbox.close()
    damage_a_name_in_the_schema(queue_path)
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        scan(queue_path)
    outbox = open_outbox(queue_path)
    assert len(outbox.pop_incidents()) == 1
    batch = outbox.batches.take(Take(500)).batch
    assert batch is not None
    assert len(batch.rows) == 50
    outbox.close()


def test_a_damaged_neighbour_keeps_no_client_from_starting(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, default_directory: Path
) -> None:
    neighbour = default_directory / "outbox-neighbour.db"
    open_outbox(neighbour).close()
    damage_a_name_in_the_schema(neighbour)
    client = make_client(queue_path=None)
    client.track(user_id="u", event_type="e")
    assert client.flush(timeout=20).ok
    assert len(sandbox.events()) == 1


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT CAST(x'ff' AS TEXT) FROM missing_table", ()),
        ("SELECT ?", (1 << 63,)),
        ("SELECT ?", ("\udcff",)),
        ('SELECT 1 FROM "\udcff"', ()),
    ],
)
def test_whatever_a_statement_meets_is_an_error_of_sqlite(sql: str, parameters: Any) -> None:
    with (
        closing(sqlite3.connect(":memory:", factory=Connection)) as file,
        pytest.raises(sqlite3.Error),
    ):
        file.execute(sql, parameters)


def test_text_that_is_damaged_is_read_as_other_text(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE t AS SELECT CAST(x'61ff62' AS TEXT) AS value")
        file.commit()
    with closing(open_read_only(path)) as file:
        assert file.execute("SELECT value FROM t").fetchall() == [("a\ufffdb",)]
