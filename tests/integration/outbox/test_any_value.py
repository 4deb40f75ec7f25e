"""Any value in any column: it is mended, told of or buried, and no other exception comes out."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from segops_durable import SegOpsError
from segops_durable.cli.commands import run
from segops_durable.outbox import Cause, Checkpoint, Letter, Outbox, Place, Settlement, Take
from segops_durable.outbox.records.schema import UPGRADES
from segops_durable.outbox.store.event_queue import EventQueue
from support.commands import Commands

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.one_python

URL = "https://api.segops.ai"
NOWHERE = "http://127.0.0.1:9"
ROWS = {b'{"n":%d}' % number for number in range(10)}
REFUSED = b'{"n":"refused"}'
VALUES = [
    "NULL",
    "-1",
    "9223372036854775807",
    "1e300",
    "-9e999",
    "0.5",
    "''",
    "'word'",
    "x'ff'",
    "CAST(x'ff' AS TEXT)",
    "CAST(x'edb280' AS TEXT)",  # half of a surrogate pair
    "CAST(zeroblob(2000000) AS TEXT)",
]
ONE_ROW = {
    "queue_outbox": "_id = 5",
    "meta": "name IN ('api_url', 'uuid')",
    "dead_letters": "_id = 1",
}


def columns() -> list[str]:
    """Every column of every table, as the schema has them."""
    with closing(sqlite3.connect(":memory:")) as file:
        table = EventQueue._SQL_CREATE.format(table_name="queue_outbox", key_column="_id")
        file.executescript(f"{table}; {''.join(UPGRADES)}")
        found = file.execute(
            "SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c"
            " WHERE t.type = 'table'"
        ).fetchall()
    return [f"{table}.{column}" for table, column in found]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """What another device has exported."""
    other = open_outbox(tmp_path_factory.mktemp("other") / "other.db")
    other.commit.append([b'{"n":"loaded"}'])
    found = list(other.transfer.export(1))
    other.close()
    return found


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> Path:
    """A closed outbox with something in each table, whose tables take any value."""
    path = tmp_path_factory.mktemp("pristine") / "outbox.db"
    outbox = open_outbox(path)
    outbox.commit.append([REFUSED])
    batch = outbox.batches.take(Take(1)).batch
    assert batch is not None
    outbox.batches.settle(Settlement(batch, 0, Letter(Cause.REFUSED, "so", 400, "no")), None)
    outbox.commit.append(sorted(ROWS), checkpoint=Checkpoint("job", 1))
    outbox.transfer.load(lines, Place())
    outbox.keep_order(600.0, 30.0)
    outbox.batches.take(Take(3))
    outbox.close()
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA writable_schema = ON")
        file.execute("UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '')")
        file.execute("UPDATE sqlite_master SET sql = replace(sql, 'CHECK (id = 1)', '')")
        file.commit()
    return path


def open_outbox(path: Path) -> Outbox:
    return Outbox(path, api_url=URL, key_fingerprint="k")


def spoil(path: Path, column: str, value: str) -> None:
    table, name = column.split(".")
    where = f" WHERE {ONE_ROW[table]}" if table in ONE_ROW else ""
    with closing(sqlite3.connect(path)) as file, suppress(sqlite3.Error):  # a key takes not all
        file.execute(f"UPDATE {table} SET {name} = {value}{where}")
        file.commit()


def use_everything(outbox: Outbox, lines: list[bytes]) -> None:
    """Call what reads or removes; an error may be of this package's only."""
    uses: list[Callable[[], object]] = [
        outbox.look_after,
        outbox.waiting.counts,
        outbox.order_left,
        outbox.owner.anonymous_id,
        outbox.waiting.identities,
        lambda: outbox.waiting.peek(100),
        lambda: [row.moment for row in outbox.waiting.peek(100)],
        lambda: outbox.checkpoints.position("job"),
        lambda: outbox.checkpoints.position("another job"),
        lambda: list(outbox.dead_letters),
        lambda: [letter.event for letter in outbox.dead_letters],
        lambda: list(outbox.transfer.export(outbox.waiting.counts().last_id)),
        lambda: outbox.transfer.load(lines, Place()),
        lambda: outbox.erasure.forget("nobody"),
        lambda: outbox.commit.append([], checkpoint=Checkpoint("job", 2)),
        lambda: outbox.dead_letters.retry([1]),
        outbox.tidy,
    ]
    for use in uses:
        with suppress(SegOpsError):
            use()


def drain(outbox: Outbox) -> list[bytes]:
    sent: list[bytes] = []
    while True:
        batches = [
            outbox.batches.take(Take(20, each)).batch for each in {*outbox.waiting.identities(), ""}
        ]
        if not any(batches):
            return sent
        for batch in filter(None, batches):
            sent += [row.data for row in batch.rows]
            outbox.batches.settle(Settlement(batch, len(batch.rows)), None)
            assert len(sent) < 100, "it is sent over and over"


@pytest.mark.long
@pytest.mark.parametrize("is_running", [False, True])
@pytest.mark.parametrize("column", columns())
def test_any_value_in_a_column_costs_no_row_but_its_own_and_alters_nothing(
    pristine: Path, tmp_path: Path, lines: list[bytes], column: str, is_running: bool
) -> None:
    for number, value in enumerate(VALUES):
        where = f"{column} = {value}"
        path = tmp_path / f"{number}.db"
        shutil.copy(pristine, path)
        if not is_running:
            spoil(path, column, value)
        outbox = open_outbox(path)
        if is_running:
            outbox.waiting.counts()
            spoil(path, column, value)
        use_everything(outbox, lines)
        outbox.commit.append([b'{"n":"new"}'])
        sent = drain(outbox)
        dead = {letter.data for letter in outbox.dead_letters}
        is_row = column.startswith("queue_outbox.")
        assert len(ROWS - set(sent) - dead) <= is_row, where
        assert b'{"n":"new"}' in sent, where
        assert set(sent) <= ROWS | {REFUSED, b'{"n":"new"}', b'{"n":"loaded"}'}, where
        assert len(sent) == len(set(sent)), where
        counts = outbox.waiting.counts()
        assert (counts.pending, counts.dead) == (0, len(list(outbox.dead_letters))), where
        outbox.close()


@pytest.mark.parametrize("column", columns())
def test_any_value_in_a_column_makes_no_command_fall_over(
    pristine: Path, tmp_path: Path, column: str
) -> None:
    commands = Commands(tmp_path, NOWHERE)
    for value in ("NULL", "1e300", "CAST(x'ff' AS TEXT)"):
        shutil.copy(pristine, commands.queue_path)
        spoil(commands.queue_path, column, value)
        for words in (
            ["status"],
            ["peek"],
            ["dead", "list"],
            ["dead", "show", "1"],
            ["export", str(tmp_path / "export.jsonl")],
            ["dead", "retry", "1"],
            ["doctor", "--offline"],
        ):
            result = CliRunner().invoke(run, words, env=commands.env)
            assert result.exception is None or isinstance(result.exception, SystemExit), (
                f"{column} = {value}: {words}: {result.exception!r}"
            )
        for each in tmp_path.glob("outbox.db*"):
            each.unlink()
