"""Places that are read once, and still are what others have made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from segops_durable.intake.imports import open_sources
from segops_durable.outbox.records.seals import is_sealed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient

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
