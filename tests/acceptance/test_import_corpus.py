"""The corpus of files to import: what the neighbour of each says comes of it, killed or not."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import killed_imports
from support.corpus import CASES, write_all
from support.imports import DATA, NAMES, Import, differences, expected_of, rejects_differ

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.one_python

KILLED = -9
GOING_ON = [
    name for name in NAMES if not expected_of(name).is_refused and expected_of(name).can_go_on
]


@pytest.mark.parametrize("name", NAMES)
def test_of_each_file_come_the_events_and_the_rejects_that_are_written_beside_it(
    tmp_path: Path, name: str
) -> None:
    expected = expected_of(name)
    one = Import(tmp_path, DATA / name, expected)
    started = datetime.now(timezone.utc)
    result = one.run()
    assert result.exit_code == expected.status, (result.output, result.exception)
    found = one.stored()
    assert not differences(found, expected.events, started)
    assert not rejects_differ(one.rejected(), expected.rejects)
    assert len(found) + len(one.rejected()) == expected.records
    if expected.is_refused:
        assert expected.mentions.lower() in result.output.lower()
    if expected.can_go_on:
        again = one.run()
        assert one.stored() == found
        assert len(one.rejected()) == len(expected.rejects)
        assert again.exit_code == expected.status, again.output  # what was rejected stays so


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_of_each_file_stores_nothing_and_has_the_status_of_the_import(
    tmp_path: Path, name: str
) -> None:
    expected = expected_of(name)
    one = Import(tmp_path, DATA / name, expected)
    started = datetime.now(timezone.utc)
    result = one.run("--dry-run")
    is_waiting = expected.status == 1 and not expected.rejects  # for the rest of its last line
    status = 0 if is_waiting and not expected.is_refused else expected.status
    assert result.exit_code == status, (result.output, result.exception)
    assert one.stored() == []
    assert one.rejected() == []
    if expected.can_go_on:
        one.run()
        assert not differences(one.stored(), expected.events, started)


@pytest.mark.parametrize("name", [name for name in GOING_ON if expected_of(name).rejects])
def test_what_was_rejected_of_each_file_stays_rejected_while_nobody_mends_it(
    tmp_path: Path, name: str
) -> None:
    expected = expected_of(name)
    one = Import(tmp_path, DATA / name, expected)
    one.run()
    found = one.stored()
    again = one.run_rejected()
    assert again.exit_code == 1, (again.output, again.exception)
    assert one.stored() == found
    assert not rejects_differ(one.rejected(), expected.rejects)


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, killed_imports.__file__]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.long
@pytest.mark.parametrize("name", GOING_ON)
def test_killed_between_any_two_transactions_each_comes_to_the_same(
    tmp_path: Path, name: str, server: subprocess.Popen[str]
) -> None:
    expected = expected_of(name)
    one = Import(tmp_path, DATA / name, expected)
    assert server.stdin is not None
    assert server.stdout is not None
    request = {
        "words": one.words,
        "env": one.env,
        "given": str(one.file) if expected.is_stdin else "",
        "rows": max(1, expected.records // 4),
    }
    started = datetime.now(timezone.utc)
    kills = 0
    while True:
        when = "at once" if not kills else "after" if kills % 2 else "before"
        server.stdin.write(json.dumps({**request, "when": when}) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        if status != KILLED:
            break
        kills += 1
        assert kills < 60, "it does not come further"
    assert status in {0, 1}, (tmp_path / "stderr").read_text()
    assert kills > 1 or not expected.records
    assert not differences(one.stored(), expected.events, started)
    assert not rejects_differ(one.rejected(), expected.rejects)


def test_the_files_of_the_corpus_are_what_its_script_makes(tmp_path: Path) -> None:
    write_all(CASES, tmp_path)
    made = {str(path.relative_to(tmp_path)): path for path in tmp_path.rglob("*") if path.is_file()}
    there = {str(path.relative_to(DATA)) for path in DATA.rglob("*") if path.is_file()}
    assert there - {"README.md"} == set(made)
    binary = {case.name for case in CASES if case.is_binary}
    for name, path in made.items():
        committed = (DATA / name).read_bytes()
        if Path(name).parts[0] not in binary:
            assert path.read_bytes() == committed, name
        elif name.endswith(".gz") and "cut" not in name and "damaged" not in name:
            try:
                assert gzip.decompress(path.read_bytes()) == gzip.decompress(committed), name
            except gzip.BadGzipFile:  # that is what is odd in it
                assert path.read_bytes() == committed, name


def test_the_corpus_is_of_some_size_and_each_file_is_small() -> None:
    assert len(NAMES) >= 60
    for path in DATA.rglob("*"):
        assert path.is_dir() or path.stat().st_size < 20_000, path
