from __future__ import annotations

import io
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segops_durable import (
    CheckpointConflictError,
    ConfigurationError,
    FieldMap,
    QueueFullError,
    SegOpsClient,
)
from segops_durable.intake.sources import source
from support.formats import FIELDS, NAMES, KilledError, queued, records, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.intake.imports import Progress
    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python


@pytest.mark.parametrize("name", NAMES)
def test_every_format_gives_the_same_events(
    client: SegOpsClient, tmp_path: Path, queue_path: Path, name: str
) -> None:
    rows = records(3000)
    path = write(tmp_path / name, rows)
    result = client.import_events(path, field_map=FIELDS)
    assert (result.stored, result.rejected, result.stored_before) == (3000, 0, 0)
    expected = [
        {
            "user_id": row["email"],
            "event_type": "sold",
            "occurred_at": "2026-01-31T12:00:00+00:00",
            "payload": {name: row[name] for name in row if name not in {"email", "at"}},
        }
        for row in rows
    ]
    assert queued(queue_path) == expected
    again = client.import_events(path, field_map=FIELDS)
    assert (again.stored, again.stored_before) == (0, 3000)


@pytest.mark.parametrize("name", NAMES)
def test_an_import_that_ends_anywhere_goes_on_where_it_was(
    client: SegOpsClient,
    tmp_path: Path,
    queue_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    path = write(tmp_path / name, records(3000))
    chunks = 0

    def end(_progress: Progress) -> None:
        nonlocal chunks
        chunks += 1
        if chunks % 2 == 0:
            raise KilledError

    for rows in (300, 450, 170):  # so that no run ends where the next one's chunks would
        monkeypatch.setattr(source, "CHUNK_ROWS", rows)
        with pytest.raises(KilledError):
            client.import_events(path, field_map=FIELDS, on_progress=end)
    client.import_events(path, field_map=FIELDS)
    assert chunks == 6
    assert [event["payload"]["count"] for event in queued(queue_path)] == list(range(3000))


def test_of_two_imports_of_one_file_at_once_one_is_stopped_and_no_line_is_stored_twice(
    client: SegOpsClient, tmp_path: Path, queue_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "CHUNK_ROWS", 100)
    path = write(tmp_path / "a.jsonl", records(1000))
    chunks = 0

    def meanwhile(_progress: Progress) -> None:
        nonlocal chunks
        chunks += 1
        if chunks == 3:
            client.track_many(records_of_others)
            assert client.import_events(path, field_map=FIELDS).stored == 700

    records_of_others = [{"user_id": "u", "event_type": "seen", "payload": {"count": -1}}] * 10
    with pytest.raises(CheckpointConflictError, match="was moved by somebody else"):
        client.import_events(path, field_map=FIELDS, on_progress=meanwhile)
    counts = [event["payload"]["count"] for event in queued(queue_path)]
    assert sorted(counts) == [-1] * 10 + list(range(1000))


def test_columns_of_parquet_keep_their_types(
    client: SegOpsClient, tmp_path: Path, queue_path: Path
) -> None:
    moment = datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=timezone.utc)
    row = {
        "user_id": 17,
        "event_type": "sold",
        "occurred_at": moment,
        "price": Decimal("9.90"),
        "day": date(2026, 1, 31),
        "tags": ["a", "b"],
        "address": {"city": "Łódź"},
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    client.import_events(tmp_path / "a.parquet")
    (event,) = queued(queue_path)
    assert event == {
        "user_id": "17",
        "event_type": "sold",
        "occurred_at": "2026-01-31T12:00:00.250000+00:00",
        "payload": {
            "price": 9.9,
            "day": "2026-01-31",
            "tags": ["a", "b"],
            "address": {"city": "Łódź"},
        },
    }


def test_traits_are_imported_as_identify(
    client: SegOpsClient, tmp_path: Path, queue_path: Path
) -> None:
    path = tmp_path / "users.csv"
    path.write_text('user_id,plan,traits\nann,pro,"{""seats"": 3}"\n')
    client.import_events(path, field_map=FieldMap(kind="identify"))
    (event,) = queued(queue_path)
    assert event["event_type"] == "context_identified"
    assert event["payload"] == {"plan": "pro", "seats": 3}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"columns": {"user": "x"}}, "columns must be of user_id, event_type"),
        ({"constants": {"payload": "x"}}, "constants must be of"),
        ({"columns": {"event_type": "x"}, "kind": "identify"}, "columns must be of user_id"),
        ({"kind": "alias"}, "kind must be"),
    ],
)
def test_a_wrong_map_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        FieldMap(**options)


def test_what_cannot_be_read_is_refused(client: SegOpsClient, tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_text("a")
    with pytest.raises(ConfigurationError, match="does not say its format"):
        client.import_events(tmp_path / "a.xlsx")
    with pytest.raises(ConfigurationError, match="format must be one of"):
        client.import_events(tmp_path / "a.jsonl", file_format="xml")
    with pytest.raises(ConfigurationError, match="needs a file"):
        client.import_events(io.BytesIO(), file_format="parquet")
    with pytest.raises(FileNotFoundError):
        client.import_events(tmp_path / "missing.jsonl")
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n")
    with pytest.raises(ConfigurationError, match="more than one column 'a'"):
        client.import_events(tmp_path / "twice.csv")
    (tmp_path / "empty.csv").write_text("")
    assert client.import_events(tmp_path / "empty.csv").stored == 0


def test_a_full_queue_stops_it_and_it_goes_on_when_there_is_room(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.stop()
    client = make_client(max_queue_events=700, max_retries=0, batch_size=500)
    path = write(tmp_path / "a.jsonl", records(1500))
    with pytest.raises(QueueFullError):
        client.import_events(path, field_map=FIELDS)
    assert client.stats().pending == 700
    sandbox.start()
    for _ in range(3):
        assert client.flush(timeout=20).ok
        try:
            client.import_events(path, field_map=FIELDS)
        except QueueFullError:
            continue
    assert client.flush(timeout=20).ok
    counts = [row["event"]["payload"]["count"] for row in sandbox.events()]
    assert sorted(counts) == list(range(1500))


def test_a_small_file_takes_one_transaction(
    client: SegOpsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    appends: list[int] = []
    append = client._intake.append

    def counted(events: Any, *rest: Any) -> None:
        appends.append(len(events.encoded))
        append(events, *rest)

    monkeypatch.setattr(client._intake, "append", counted)
    path = write(tmp_path / "few.jsonl", records(10))
    assert client.import_events(path, field_map=FIELDS).stored == 10
    assert client.import_events(path, field_map=FIELDS).stored_before == 10
    assert appends == [10]
