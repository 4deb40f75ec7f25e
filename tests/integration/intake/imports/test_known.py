"""Places that are read once, and still are what others have made of them."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Any

import pytest

from segops_durable.intake.imports import open_sources
from segops_durable.intake.imports import rejects as rejecting
from segops_durable.outbox.records.schema import SELECT
from segops_durable.outbox.records.seals import is_sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.intake.imports import Progress

PARTS = 40


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    directory = tmp_path / "spool"
    directory.mkdir()
    for number in range(PARTS):
        line = f'{{"user_id": "u", "event_type": "sold", "n": {number}}}\n'
        (directory / f"part-{number:05}.jsonl").write_text(line)
    (directory / "_SUCCESS").touch()
    return directory


def test_a_file_of_many_does_not_read_the_places_of_all_others(
    client: SegOpsClient, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []

    def counted(table: str, record: Any) -> bool:
        looked_at.append(table)
        return is_sealed(table, record)

    monkeypatch.setattr("segops_durable.outbox.checkpoints.is_sealed", counted)
    assert client.import_events(spool).stored == PARTS
    assert len(looked_at) < 4 * PARTS
    assert client.import_events(spool).stored_before == PARTS
    assert len(looked_at) < 8 * PARTS


def test_of_what_others_write_meanwhile_only_what_has_changed_is_read(
    client: SegOpsClient,
    make_client: Callable[..., SegOpsClient],
    spool: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at = []

    def counted(table: str, record: Any) -> bool:
        looked_at.append(table)
        return is_sealed(table, record)

    monkeypatch.setattr("segops_durable.outbox.checkpoints.is_sealed", counted)
    importer = client.importer()
    other = make_client(max_retries=0)  # of the same outbox
    for each in open_sources(spool):
        prepared = importer.prepare(each)
        other.track(user_id="u", event_type="sold")
        assert importer.run(prepared).stored == 1
    assert len(looked_at) < 4 * PARTS


def test_what_another_process_imports_meanwhile_is_found_and_not_stored_twice(
    client: SegOpsClient, make_client: Callable[..., SegOpsClient], spool: Path
) -> None:
    importer = client.importer()
    prepared = [importer.prepare(each) for each in open_sources(spool)]
    assert importer.run(prepared[0]).stored == 1
    other = make_client(max_retries=0)  # of the same outbox
    assert other.import_events(spool).stored == PARTS - 1
    assert [importer.run(each).stored for each in prepared[1:]] == [0] * (PARTS - 1)
    assert client.stats().pending == PARTS


def test_the_place_of_a_part_is_found_under_the_name_of_its_file_alone(
    client: SegOpsClient, spool: Path
) -> None:
    client.import_events(spool / "part-00003.jsonl")
    result = client.import_events(spool)
    assert (result.stored, result.stored_before) == (PARTS - 1, 1)


@pytest.fixture
def bad_spool(spool: Path) -> Path:
    """A line of each part is rejected."""
    for each in spool.glob("part-*"):
        each.write_text(each.read_text() + "bad\n")
    return spool


def grow(spool: Path) -> None:
    """Add a line to each part, and one that is rejected."""
    for each in sorted(spool.glob("part-*")):
        each.write_text(each.read_text() + each.read_text())


def test_a_file_of_many_with_rejects_does_not_read_those_of_all_others(
    client: SegOpsClient, bad_spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejects = tmp_path / "rejects.jsonl"
    lines: list[Any] = []

    def counted(file: IO[bytes]) -> Iterator[Any]:
        for each in documents(file):
            lines.append(each)
            yield each

    documents = rejecting._documents
    monkeypatch.setattr(rejecting, "_documents", counted)
    assert client.import_events(bad_spool, rejects=rejects).rejected == PARTS
    grow(bad_spool)
    assert client.import_events(bad_spool, rejects=rejects).rejected == PARTS
    assert client.import_events(bad_spool, rejects=rejects).rejected == 0
    assert len(lines) < 5 * PARTS
    assert len(rejects.read_bytes().splitlines()) == 2 * PARTS


def test_nor_the_places_of_all_others_to_say_how_many_nobody_has_mended(
    client: SegOpsClient, bad_spool: Path, tmp_path: Path
) -> None:
    rejects = tmp_path / "rejects.jsonl"
    client.import_events(bad_spool, rejects=rejects)
    grow(bad_spool)
    said = watched(client)
    assert client.import_events(bad_spool, rejects=rejects).rejected_before == PARTS
    assert sum(each == SELECT["checkpoints"] for each in said) < 5


def test_nor_to_import_what_was_mended_of_many(
    client: SegOpsClient, bad_spool: Path, tmp_path: Path
) -> None:
    rejects = tmp_path / "rejects.jsonl"
    client.import_events(bad_spool, rejects=rejects)
    bad = [json.loads(line) for line in rejects.read_text().splitlines()]
    good = '{"user_id": "u", "event_type": "sold"}'
    rejects.write_text("".join(json.dumps({**each, "record": good}) + "\n" for each in bad))
    said = watched(client)
    assert client.import_rejected(rejects).stored == PARTS
    assert sum(each == SELECT["checkpoints"] for each in said) < 5


def watched(client: SegOpsClient) -> list[str]:
    """What SQLite is told from now on."""
    said: list[str] = []
    queue = client._outbox._store._live.current()
    for each in (queue.reader, queue.writer):
        each.set_trace_callback(said.append)
    return said


def test_what_others_write_to_a_file_of_rejects_meanwhile_is_seen(
    client: SegOpsClient, bad_spool: Path, tmp_path: Path
) -> None:
    rejects = tmp_path / "rejects.jsonl"
    client.import_events(bad_spool, rejects=rejects)
    grow(bad_spool)

    def tear(_progress: Progress) -> None:
        with rejects.open("a") as file:
            file.write("what a killed transaction had written\n")

    client.import_events(bad_spool, rejects=rejects, on_progress=tear)
    found = rejects.read_text().splitlines()
    assert found.count("what a killed transaction had written") == 1  # that of the last part
