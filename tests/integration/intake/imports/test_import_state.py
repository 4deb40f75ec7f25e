"""Where an import goes on: in a file that grows, changes or is cut off, and in a stream."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING

import pytest

from segops_durable import ImportStoppedError, SegOpsClient
from support.formats import FIELDS, queued, records, write

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.intake.imports import Progress

pytestmark = pytest.mark.one_python


def test_a_file_that_grows_is_imported_on_from_where_it_ended(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", records(10))
    assert client.import_events(path, field_map=FIELDS).stored == 10
    with path.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in records(25)[10:])
    assert client.import_events(path, field_map=FIELDS).stored == 15


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
        file.writelines(json.dumps(row) + "\n" for row in records(3030)[3000:])
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
