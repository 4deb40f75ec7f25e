"""The place of an import belongs to a file's content and to a mapping, whatever becomes of both."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ChangedFileError, ConfigurationError, FieldMap, SegOpsClient
from segops_durable.intake.sources.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.one_python

OTHER_MAP = FieldMap(columns={"occurred_at": "at"})


@pytest.fixture
def client(make_client: Callable[..., SegOpsClient]) -> SegOpsClient:
    return make_client(api_url="http://127.0.0.1:9")


def rows(start: int, end: int) -> str:
    when = "2026-01-31T12:00:00Z"
    return "".join(
        json.dumps({"user_id": f"u{n}", "event_type": "sold", "at": when, "n": n}) + "\n"
        for n in range(start, end)
    )


def numbers(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as file:
        found = file.execute("SELECT data FROM queue_outbox ORDER BY _id").fetchall()
    return [json.loads(row[0])["payload"]["n"] for row in found]


def counts(client: SegOpsClient, path: Path, **options: Any) -> tuple[int, int]:
    result = client.import_events(path, **options)
    return result.stored, result.stored_before


@pytest.mark.parametrize("count", [2, 3000])
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_copy_is_known_and_what_it_has_more_is_imported(
    client: SegOpsClient, tmp_path: Path, queue_path: Path, count: int, name: str
) -> None:
    path, copy = tmp_path / name, tmp_path / "copies" / name
    copy.parent.mkdir()
    pack = gzip.compress if name.endswith("gz") else bytes
    path.write_bytes(pack(rows(0, count).encode()))
    assert counts(client, path) == (count, 0)
    shutil.copy(path, copy)
    assert counts(client, copy) == (0, count)
    path.unlink()
    with copy.open("ab") as file:
        file.write(pack(rows(count, count + 5).encode()))
    assert counts(client, copy) == (5, count)
    assert numbers(queue_path) == list(range(count + 5))


def test_another_device_number_is_no_other_file(
    client: SegOpsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(rows(0, 9))
    assert counts(client, path) == (9, 0)
    monkeypatch.setattr(Source, "key", lambda _self: f"import:99:{path.stat().st_ino}")
    assert counts(client, path) == (0, 9)


def test_a_log_that_is_rotated_by_rename_goes_on_under_its_new_name(
    client: SegOpsClient, tmp_path: Path, queue_path: Path
) -> None:
    log, rotated = tmp_path / "app.jsonl", tmp_path / "app.jsonl.1"
    log.write_text(rows(0, 5))
    assert counts(client, log) == (5, 0)
    with log.open("a") as file:
        file.write(rows(5, 7))
    log.rename(rotated)
    log.write_text(rows(7, 9))
    assert counts(client, log) == (2, 0)
    assert counts(client, rotated) == (2, 5)
    assert sorted(numbers(queue_path)) == list(range(9))


def test_a_log_that_is_copied_and_truncated_goes_on_in_both_files(
    client: SegOpsClient, tmp_path: Path, queue_path: Path
) -> None:
    log = tmp_path / "app.jsonl"
    for turn in range(3):
        with log.open("a") as file:
            file.write(rows(turn * 10, turn * 10 + 4))
        assert counts(client, log) == (4, 0)
        with log.open("a") as file:
            file.write(rows(turn * 10 + 4, turn * 10 + 6))
        shutil.copy(log, tmp_path / f"app.jsonl.{turn}")
        os.truncate(log, 0)
        assert counts(client, log) == (0, 0)
    for turn in range(3):
        assert counts(client, tmp_path / f"app.jsonl.{turn}") == (2, 4)
        assert counts(client, tmp_path / f"app.jsonl.{turn}") == (0, 6)
    assert sorted(numbers(queue_path)) == [n for n in range(30) if n % 10 < 6]


@pytest.mark.parametrize("begins", ["", "user_id,event_type,n\n", "user_id,ev"])
def test_a_file_first_met_empty_or_with_a_header_only_is_imported_when_it_is_filled(
    client: SegOpsClient, tmp_path: Path, queue_path: Path, begins: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(begins)
    if not begins.startswith("user_id,ev") or begins.endswith("\n"):
        assert counts(client, path) == (0, 0)
    os.truncate(path, 0)
    with path.open("a") as file:
        file.write("user_id,event_type,m,n\nu,sold,1,1\n")
    assert counts(client, path) == (1, 0)
    with path.open("a") as file:
        file.write("u,sold,1,2\n")
    assert counts(client, path) == (1, 1)
    assert numbers(queue_path) == [1, 2]


def edited(text: str) -> dict[str, str]:
    lines = text.splitlines(keepends=True)
    half = len(lines) // 2  # of 4000, where neither the head nor the tail is
    return {
        "first": "".join([lines[0].replace("u0", "v0"), *lines[1:]]),
        "middle": "".join([*lines[:half], lines[half].replace("sold", "gone"), *lines[half + 1 :]]),
        "last": "".join([*lines[:-1], lines[-1].replace("sold", "gone")]),
        "inserted": "".join([rows(99, 100), *lines]),
        "removed": "".join(lines[1:]),
        "shorter": "".join(lines[:-1]),
        "sorted": "".join(reversed(lines)),
    }


@pytest.mark.parametrize("is_in_place", [True, False])
@pytest.mark.parametrize("edit", list(edited(rows(0, 4))))
@pytest.mark.parametrize("count", [4, 4000])
def test_a_file_that_was_edited_is_refused_and_imported_anew_by_restart(
    client: SegOpsClient, tmp_path: Path, queue_path: Path, count: int, edit: str, is_in_place: bool
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(rows(0, count))
    assert counts(client, path) == (count, 0)
    changed = edited(rows(0, count))[edit]
    if not is_in_place:  # as editors and `sed -i` do
        path.rename(tmp_path / "a.jsonl~")
    path.write_text(changed)
    with pytest.raises(ChangedFileError, match="has changed since") as stopped:
        client.import_events(path)
    assert f"{count} events of it are stored" in str(stopped.value)
    assert "--restart" in stopped.value.hint
    assert len(numbers(queue_path)) == count
    size = changed.count("\n")
    assert counts(client, path, restart=True) == (size, 0)
    assert counts(client, path) == (0, size)


def test_what_only_begins_like_another_file_is_refused_until_somebody_says_what_it_is(
    client: SegOpsClient, tmp_path: Path
) -> None:
    first, second = tmp_path / "monday.jsonl", tmp_path / "tuesday.jsonl"
    first.write_text(rows(0, 1))
    second.write_text(rows(0, 1) + rows(5, 6))
    assert counts(client, first) == (1, 0)
    with pytest.raises(ChangedFileError, match="begins with all that was imported of"):
        client.import_events(second)
    assert counts(client, second, job="tuesday") == (2, 0)


@pytest.mark.parametrize("job", [None, "j"])
def test_another_mapping_is_refused_and_takes_a_restart(
    client: SegOpsClient, tmp_path: Path, queue_path: Path, job: str | None
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(rows(0, 3))
    assert counts(client, path, job=job) == (3, 0)
    with pytest.raises(ConfigurationError, match=r"another mapping.* 3 events of it are stored"):
        client.import_events(path, field_map=OTHER_MAP, job=job)
    assert counts(client, path, job=job) == (0, 3)
    assert counts(client, path, field_map=OTHER_MAP, job=job, restart=True) == (3, 0)
    assert counts(client, path, field_map=OTHER_MAP, job=job) == (0, 3)
    assert len(numbers(queue_path)) == 6
    assert counts(client, path, field_map=OTHER_MAP, job="another") == (3, 0)


@pytest.mark.parametrize(
    ("text", "field_map", "problem"),
    [
        ("email,event_type\na,sold\n", FieldMap(), "no column for user_id"),
        ("user_id,kind\na,sold\n", FieldMap(), "no column for event_type"),
        ("user_id,event_type\na,sold\n", OTHER_MAP, "no column 'at'"),
        ("user_id,event_type,x,payload.x\na,sold,1,2\n", FieldMap(), "both the entry 'x'"),
    ],
)
def test_what_cannot_be_right_is_refused_and_nothing_is_consumed_by_it(
    client: SegOpsClient, tmp_path: Path, text: str, field_map: FieldMap, problem: str
) -> None:
    names = text.partition("\n")[0].split(",")
    values = text.split("\n")[1].split(",")
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "a.jsonl").write_text(json.dumps(dict(zip(names, values, strict=True))) + "\n")
    for path in (tmp_path / "a.csv", tmp_path / "a.jsonl"):
        with pytest.raises(ConfigurationError, match=problem):
            client.import_events(path, field_map=field_map)
    assert client._outbox.checkpoints.positions("") == {}
    fixed = FieldMap(
        columns={} if "user_id" in names else {"user_id": "email"},
        constants={} if "event_type" in names else {"event_type": "sold"},
    )
    if "payload.x" not in names:
        assert counts(client, tmp_path / "a.csv", field_map=fixed) == (1, 0)


def test_a_place_that_an_earlier_version_has_stored_is_gone_on_from(
    client: SegOpsClient, tmp_path: Path, queue_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(rows(0, 6))
    assert counts(client, path) == (6, 0)
    (name,) = client._outbox.checkpoints.positions("import:")
    position = client.checkpoint(name)
    known = ("place", "stored", "rejected", "rejects", "prefix", "tail")
    client.track_many([], checkpoint=(name, {each: position[each] for each in known}))
    with path.open("a") as file:
        file.write(rows(6, 8))
    assert counts(client, path) == (2, 6)
    assert client.checkpoint(name)["mapping"]
    assert counts(client, path) == (0, 8)
    assert numbers(queue_path) == list(range(8))


def test_what_was_imported_and_is_compressed_since_is_known(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"
    path.write_text(rows(0, 9))
    assert counts(client, path) == (9, 0)
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert counts(client, packed) == (0, 9)
    packed.write_bytes(gzip.compress(rows(0, 10).encode()))
    with pytest.raises(ChangedFileError, match="has changed"):
        client.import_events(packed)
    packed.write_bytes(gzip.compress(rows(10, 12).encode()))
    assert counts(client, packed) == (2, 0)


def test_a_stream_that_does_not_begin_with_what_its_job_has_imported_is_refused(
    client: SegOpsClient, queue_path: Path
) -> None:
    first, other = rows(0, 3).encode(), rows(5, 8).encode()
    assert client.import_events(io.BytesIO(first), job="j").stored == 3
    with pytest.raises(ChangedFileError, match="does not begin with what this job has imported"):
        client.import_events(io.BytesIO(other), job="j")
    more = first + rows(3, 9000).encode()
    assert client.import_events(io.BytesIO(more), job="j").stored == 8997
    assert client.import_events(io.BytesIO(more), job="j").stored_before == 9000
    assert numbers(queue_path) == list(range(9000))
    assert client.import_events(io.BytesIO(other), job="j", restart=True).stored == 3


def test_a_part_of_a_directory_that_was_edited_or_imported_by_itself_is_known(
    client: SegOpsClient, tmp_path: Path
) -> None:
    directory = tmp_path / "export"
    directory.mkdir()
    (directory / "_SUCCESS").touch()
    part = directory / "part-0.jsonl"
    part.write_text(rows(0, 4))
    assert counts(client, directory) == (4, 0)
    assert counts(client, part) == (0, 4)
    part.write_text(rows(0, 4).replace("u3", "v3"))
    for path in (part, directory):
        with pytest.raises(ChangedFileError, match="has changed"):
            client.import_events(path)
    part.write_text(rows(10, 12))
    assert counts(client, directory) == (2, 0)
    part.write_text(rows(10, 13))
    assert counts(client, directory) == (1, 2)


def test_an_import_that_is_begun_anew_and_killed_goes_on_without_restart(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    lines = [f'{{"user_id": "u", "event_type": "e", "n": {n}}}\n' for n in range(9000)]
    path.write_text("".join(lines))
    assert client.import_events(path).stored == 9000

    def die(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.import_events(path, restart=True, on_progress=die)
    more = client.import_events(path)
    assert (more.stored_before, more.stored + more.stored_before) == (5000, 9000)
