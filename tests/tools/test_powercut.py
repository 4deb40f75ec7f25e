"""A power cut at any instant; the same harness first shows that it can find a loss."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from powercut import EVENTS, Cutter, build, in_memory, record

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 20


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = build(tmp_path_factory.mktemp("library"))
    if found is None:
        pytest.skip("there is no C compiler, or this is not Linux")
    return found


@pytest.fixture
def disks() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=in_memory()) as directory:
        yield Path(directory)


@pytest.mark.long
@pytest.mark.parametrize(("is_strict", "events"), [(True, EVENTS), (False, EVENTS // 3)])
def test_a_power_cut_anywhere_loses_nothing_and_repeats_one_batch_at_most(
    library: Path, tmp_path: Path, disks: Path, is_strict: bool, events: int
) -> None:
    run = record(library, tmp_path, events, "full")
    result = Cutter(run, disks, is_strict=is_strict).cut_everywhere()
    assert result.cuts > 1000
    assert (result.lossy, result.damaged) == (0, 0)
    assert result.most_resent <= BATCH


@pytest.mark.long
def test_the_same_cuts_find_the_loss_where_nothing_is_synced(
    library: Path, tmp_path: Path, disks: Path
) -> None:
    run = record(library, tmp_path, 60, "off")
    result = Cutter(run, disks, is_strict=True).cut_everywhere()
    assert result.lossy > 0
