"""Importing files: every format gives the same events, bad lines are told of, kills do no harm."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import sqlite3
from contextlib import closing
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
    ImportStoppedError,
    QueueFullError,
    SegOpsClient,
)
from segops_durable.importer import Progress, reading, sources
from segops_durable.importer.rejects import Rejects

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

WHEN = "2026-01-31T12:00:00Z"
FIELDS = FieldMap(
    columns={"user_id": "email", "occurred_at": "at"}, constants={"event_type": "sold"}
)


@pytest.fixture
def client(make_client: Callable[..., SegOpsClient], sandbox: Sandbox) -> SegOpsClient:
    sandbox.stop()
    return make_client(max_retries=0)


def queued(path: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as file:
        rows = file.execute("SELECT data FROM queue_outbox ORDER BY _id").fetchall()
    return [json.loads(row[0]) for row in rows]


def records(count: int) -> list[dict[str, Any]]:
    return [
        {
            "email": f"user-{number}@example.org",
            "at": WHEN,
            "amount": number * 1.5,
            "count": number,
            "zip": "01234",
            "note": None if number % 3 else 'a "quoted", long\nnote é',
            "paid": number % 2 == 0,
        }
        for number in range(count)
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write records in the format, and with the compression, that the name says."""
    text = io.StringIO()
    if ".parquet" in path.suffixes:
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=700)
        return path
    if ".csv" in path.suffixes or ".tsv" in path.suffixes:
        delimiter = "\t" if ".tsv" in path.suffixes else ","
        writer = csv.DictWriter(text, rows[0], delimiter=delimiter)
        writer.writeheader()
        as_text = {True: "true", False: "false", None: ""}
        for row in rows:
            cells = {
                k: as_text[v] if v is None or v is True or v is False else v for k, v in row.items()
            }
            writer.writerow(cells)
    else:
        text.writelines(json.dumps(row) + "\n" for row in rows)
    data = text.getvalue().encode()
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(data))
    elif path.suffix == ".zst":
        with pa.output_stream(path, compression="zstd") as stream:
            stream.write(data)
    else:
        path.write_bytes(data)
    return path


NAMES = ("a.jsonl", "a.csv", "a.tsv", "a.parquet", "a.jsonl.gz", "a.csv.gz", "a.ndjson.zst")


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


class KilledError(BaseException):
    """Ends an import as a kill would: between any two transactions."""


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
        monkeypatch.setattr(sources, "_CHUNK_ROWS", rows)
        with pytest.raises(KilledError):
            client.import_events(path, field_map=FIELDS, on_progress=end)
    client.import_events(path, field_map=FIELDS)
    assert chunks == 6
    assert [event["payload"]["count"] for event in queued(queue_path)] == list(range(3000))


@pytest.mark.parametrize("is_fast", [True, False])
def test_bad_lines_are_kept_with_their_numbers_and_reasons_and_the_others_are_stored(
    client: SegOpsClient,
    tmp_path: Path,
    queue_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_fast: bool,
) -> None:
    if not is_fast:  # as without orjson
        monkeypatch.setattr(reading, "_read_fast", None)
    path, rejects = tmp_path / "a.jsonl", tmp_path / "rejects.jsonl"
    good = {"user_id": "u", "event_type": "sold"}
    lines = [
        json.dumps(good),
        "not JSON",
        '"a text"',
        "",
        json.dumps({"event_type": "sold"}),
        json.dumps({**good, "occurred_at": "yesterday"}),
        json.dumps({**good, "user_id": 17}),
        '{"user_id": "u", "event_type": "sold", "x": NaN}',
        '{"user_id": "u", "event_type": "sold", "x": "\\ud800"}',
        json.dumps({**good, "payload": 5}),
        json.dumps({**good, "payload": {"x": 1}, "y": 2}),
        json.dumps({**good, "long": 123456789012345678901234567890}),
        json.dumps({**good, "x": "y" * 300_000}),
        json.dumps({**good, "user_id": True}),
        json.dumps(good),
    ]
    path.write_text("\n".join(lines))
    result = client.import_events(path, rejects=rejects)
    assert (result.stored, result.rejected) == (5, 9)
    bad = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [each["line"] for each in bad] == [2, 3, 5, 6, 8, 9, 10, 13, 14]
    reasons = [each["reason"] for each in bad]
    assert "a JSON object is expected, got str" in reasons[1]
    assert reasons[2].startswith("user_id: is required, in the column 'user_id'")
    assert "occurred_at: must be ISO 8601" in reasons[3]
    assert "payload: must be an object" in reasons[6]
    assert "must have at most 262144 bytes" in reasons[7]
    assert bad[0] == {"file": str(path), "line": 2, "reason": reasons[0], "record": "not JSON\n"}
    payloads = [event["payload"] for event in queued(queue_path)]
    big = {"long": 123456789012345678901234567890}
    assert payloads == [{}, {}, {"y": 2, "x": 1}, big, {}]
    assert queued(queue_path)[1]["user_id"] == "17"


def test_bad_rows_of_csv_are_told_of_by_their_lines(
    client: SegOpsClient, tmp_path: Path, queue_path: Path
) -> None:
    path, rejects = tmp_path / "a.csv", tmp_path / "rejects.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbfuser_id,event_type,x\n"
        b'ann,sold,"two\nlines"\n'
        b"bob,sold\n"
        b"\n"
        b",sold,1\n"
        b"carl,sold,\xff\n"
        b'dora,"so"ld,1\n'
        b"eve,sold,007\n"
    )
    result = client.import_events(path, rejects=rejects)
    assert [event["user_id"] for event in queued(queue_path)] == ["ann", "eve"]
    assert queued(queue_path)[1]["payload"] == {"x": "007"}
    bad = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [each["line"] for each in bad] == [4, 6, 7, 8]
    assert result.rejected == 4
    assert "2 columns, where the header has 3" in bad[0]["reason"]
    assert "lone surrogate" in bad[2]["reason"]
    assert "no CSV" in bad[3]["reason"]


def test_too_many_bad_lines_stop_it_and_it_goes_on_when_they_are_mended(
    client: SegOpsClient, tmp_path: Path, queue_path: Path
) -> None:
    path, rejects = tmp_path / "a.jsonl", tmp_path / "rejects.jsonl"
    good = json.dumps({"user_id": "u", "event_type": "sold"})
    path.write_text(f"{good}\nbad\nbad\n{good}\nbad\n{good}\n")
    with pytest.raises(ImportStoppedError, match=r"line 5: .* 3 lines were rejected") as stopped:
        client.import_events(path, rejects=rejects, max_errors=2)
    assert (stopped.value.file, stopped.value.line) == (str(path), 5)
    assert queued(queue_path) == []
    assert client.import_events(path, rejects=rejects, max_errors=3).stored == 3
    assert len(rejects.read_text().splitlines()) == 3


def test_the_rejects_are_there_once_though_the_import_was_ended(
    client: SegOpsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rejects = tmp_path / "a.jsonl", tmp_path / "rejects.jsonl"
    good = json.dumps({"user_id": "u", "event_type": "sold"})
    path.write_text("".join(f"{good}\nbad {number}\n" for number in range(20_000)))

    def end(progress: Progress) -> None:
        if progress.rejected:
            raise KilledError

    rejects.write_text('{"line": 0, "of": "another import"}\n')
    with monkeypatch.context() as patched:
        patched.setattr(Rejects, "append", die_after(Rejects.append))  # in the first transaction
        with pytest.raises(KilledError):
            client.import_events(path, rejects=rejects)
    for _ in range(3):
        with pytest.raises(KilledError):
            client.import_events(path, rejects=rejects, on_progress=end)
        with rejects.open("a") as file:
            file.write("what a killed transaction had written\n")
    client.import_events(path, rejects=rejects)
    bad = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [each["line"] for each in bad] == list(range(0, 40_001, 2))


def die_after(append: Callable[..., None]) -> Callable[..., None]:
    def append_and_die(*args: Any) -> None:
        append(*args)
        raise KilledError

    return append_and_die


def test_another_file_of_rejects_is_never_cut(client: SegOpsClient, tmp_path: Path) -> None:
    path, first, second = (tmp_path / name for name in ("a.jsonl", "1.jsonl", "2.jsonl"))
    path.write_text("bad\n")
    client.import_events(path, rejects=first)
    second.write_text("precious " * 100)
    with path.open("a") as file:
        file.write("worse\n")
    client.import_events(path, rejects=second)
    assert second.read_text().startswith("precious " * 100)
    assert len(first.read_text().splitlines()) == 1


def test_a_file_that_grows_is_imported_on_from_where_it_ended(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", records(10))
    assert client.import_events(path, field_map=FIELDS).stored == 10
    with path.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in records(25)[10:])
    assert client.import_events(path, field_map=FIELDS).stored == 15


def test_of_two_imports_of_one_file_at_once_one_is_stopped_and_no_line_is_stored_twice(
    client: SegOpsClient, tmp_path: Path, queue_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_CHUNK_ROWS", 100)
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


def test_a_line_that_is_being_written_is_left_until_it_is_there(
    client: SegOpsClient, tmp_path: Path, queue_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    line = '{"user_id": "u", "event_type": "sold", "n": 1}'
    path.write_text(f"{line}\n{line[:30]}")
    result = client.import_events(path)
    assert (result.stored, result.rejected, result.is_incomplete) == (1, 0, True)
    with path.open("a") as file:
        file.write(line[30:])
    result = client.import_events(path)
    assert (result.stored, result.is_incomplete) == (1, False)
    assert [event["payload"] for event in queued(queue_path)] == [{"n": 1}] * 2


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "a.ndjson.zst", "a.parquet"])
def test_a_file_that_is_cut_off_is_told_of_and_goes_on_when_it_is_whole(
    client: SegOpsClient, tmp_path: Path, queue_path: Path, name: str
) -> None:
    path = write(tmp_path / name, records(20_000))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 9 // 10])
    with pytest.raises((ImportStoppedError, OSError)):
        client.import_events(path, field_map=FIELDS)
    path.write_bytes(whole)
    client.import_events(path, field_map=FIELDS)
    counts = [event["payload"]["count"] for event in queued(queue_path)]
    assert counts == list(range(20_000))


def test_a_line_that_is_finished_while_its_chunk_is_stored_is_stored_once(
    client: SegOpsClient, tmp_path: Path, queue_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"user_id": "u", "event_type": "t", "n": {"n": n}}) for n in range(6)]
    path.write_text(f"{lines[0]}\n{lines[1]}\n{lines[2][:-1]}")  # it ends with a bracket

    def write_on(_progress: Progress) -> None:
        with path.open("a") as file:
            file.write(f"{lines[2][-1:]}\n{lines[3]}\n{lines[4]}\n")

    assert client.import_events(path, on_progress=write_on).stored == 2
    with path.open("a") as file:
        file.write(f"{lines[5]}\n")
    assert client.import_events(path).stored == 4
    assert [event["payload"]["n"]["n"] for event in queued(queue_path)] == list(range(6))


def test_a_stream_of_csv_is_found_again_by_the_name_of_its_job(
    client: SegOpsClient, queue_path: Path
) -> None:
    rows = [f"u{n},sold,{n}\n".encode() for n in range(9)]
    for count in (3, 6, 9):
        stream = io.BytesIO(b"".join([b"user_id,event_type,n\n", *rows[:count]]))
        assert client.import_events(stream, file_format="csv", job="j").stored == 3
    assert [event["payload"]["n"] for event in queued(queue_path)] == list(range(9))


def test_a_line_that_is_nested_too_deep_is_rejected_and_the_others_are_stored(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    good = '{"user_id": "u", "event_type": "t"}'
    deep = [
        good[:-1] + ', "d": ' + "[" * depth + number + "]" * depth + "}"
        for depth, number in ((300, "1"), (3000, "1234567890123456789012"))
    ]
    path.write_text("\n".join([good, *deep, good, ""]))
    result = client.import_events(path)
    assert result.stored + result.rejected == 4
    assert result.rejected >= 1  # how deep is too deep differs between Pythons


def test_a_file_that_was_mended_in_its_place_is_not_imported_all_over_again(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", records(2000))
    client.import_events(path, field_map=FIELDS)
    with path.open("r+b") as file:
        file.seek(20)
        file.write(b"x")
    with pytest.raises(ImportStoppedError, match="has changed"):
        client.import_events(path, field_map=FIELDS)
    client.import_events(write(tmp_path / "b.jsonl", records(50)), field_map=FIELDS, job="j")
    another = write(tmp_path / "c.jsonl", records(60)[5:])
    with pytest.raises(ImportStoppedError, match="has changed"):
        client.import_events(another, field_map=FIELDS, job="j")


def test_two_files_may_share_a_file_of_rejects(client: SegOpsClient, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path in paths:
        path.write_text("bad\n")
    for _ in range(2):
        for path in paths:
            client.import_events(path, rejects=rejects)
    found = [json.loads(line)["file"] for line in rejects.read_text().splitlines()]
    assert found == [str(path) for path in paths]


def test_a_header_that_is_no_csv_is_told_of(client: SegOpsClient, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('user_id,"a"b\n1,2\n')
    with pytest.raises(ImportStoppedError, match="damaged"):
        client.import_events(tmp_path / "a.csv")


def test_a_changed_file_is_noticed_and_another_in_its_place_is_imported(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", records(2000))
    client.import_events(path, field_map=FIELDS)
    data = path.read_bytes()
    with path.open("r+b") as file:  # the same inode, the same beginning, another end
        file.seek(len(data) - 20)
        file.write(b"x" * 20)
    with pytest.raises(ImportStoppedError, match="has changed since line 2000"):
        client.import_events(path, field_map=FIELDS)
    with path.open("r+b") as file:
        file.truncate(len(data) // 2)
    with pytest.raises(ImportStoppedError, match="has changed"):
        client.import_events(path, field_map=FIELDS)
    os.truncate(path, 0)
    with path.open("w") as file:  # another file, on the same inode
        file.writelines(json.dumps(row) + "\n" for row in reversed(records(30)))
    assert client.import_events(path, field_map=FIELDS).stored == 30


def test_a_stream_is_found_again_by_the_name_of_its_job(client: SegOpsClient) -> None:
    data = b"".join(json.dumps(row).encode() + b"\n" for row in records(50))
    first, rest = data[: data.index(b"user-20@")], data
    first = first[: first.rindex(b"\n") + 1]
    assert client.import_events(io.BytesIO(first), field_map=FIELDS, job="j").stored == 20
    assert client.import_events(io.BytesIO(rest), field_map=FIELDS, job="j").stored == 30
    assert client.import_events(io.BytesIO(rest), field_map=FIELDS).stored == 50  # without one
    with pytest.raises(ImportStoppedError, match="ends before the place"):
        client.import_events(io.BytesIO(first), field_map=FIELDS, job="j")


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
    with pytest.raises(ConfigurationError, match="does not say its format"):
        client.import_events(tmp_path / "a.xlsx")
    with pytest.raises(ConfigurationError, match="format must be one of"):
        client.import_events(tmp_path / "a.jsonl", file_format="xml")
    with pytest.raises(ConfigurationError, match="needs a file"):
        client.import_events(io.BytesIO(), file_format="parquet")
    with pytest.raises(FileNotFoundError):
        client.import_events(tmp_path / "missing.jsonl")
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n")
    with pytest.raises(ImportStoppedError, match="more than one column 'a'"):
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
