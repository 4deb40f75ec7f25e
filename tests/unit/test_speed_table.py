"""What the benchmark's figures say: whether a target is met, and what stands in the README."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from speed import readme
from speed.rows import Row, claims

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.one_python

MACHINE = {
    "cores": "2",
    "cpu": "a CPU",
    "kernel": "Linux",
    "python": "CPython",
    "sqlite": "3",
    "file system": "ext4",
    "sync": "70 us",
}


@pytest.mark.parametrize(
    ("rounds", "is_most", "is_met"),
    [
        ([1.0, 1.1, 9.0], True, True),
        ([1.0, 1.2, 1.3], True, False),
        ([1.0, 1.2, 1.3], False, True),
        ([], True, None),
    ],
)
def test_a_target_is_met_by_the_median_of_the_rounds(
    rounds: list[float], is_most: bool, is_met: bool | None
) -> None:
    assert Row("name", "what", 1.1, is_most=is_most, rounds=rounds).is_met is is_met


def test_every_claim_has_a_name_of_its_own_and_a_target() -> None:
    assert [row.name for row in claims().values()] == list(claims())
    assert len({row.what for row in claims().values()} - {"the same"}) > 15


def test_the_readme_gets_the_figures_between_its_marks_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    row = {"what": "a / b", "target": "≥ 1", "found": "1.5", "spread": "1 to 2", "is_met": True}
    document = {
        "machine": MACHINE,
        "rows": [{**row, "note": ""}],
        "contenders": [{"name": "track", "each_us": 210.4, "keeps": "on disk, synced"}],
    }
    readme.write(document, path)
    readme.write(document, path)  # once more changes nothing
    text = path.read_text()
    assert text.startswith(f"before\n{readme.BEGIN}\n\nMeasured on 2 cores of a shared a CPU")
    assert "| a / b | ≥ 1 | 1.5 | 1 to 2 | yes |" in text
    assert "| track | 210 | on disk, synced |" in text
    assert text.endswith(f"{readme.END}\nafter\n")
    assert "old" not in text


def test_the_readme_shows_the_figures_that_the_repository_keeps(tmp_path: Path) -> None:
    copy = tmp_path / "README.md"
    copy.write_text(readme.README.read_text(encoding="utf-8"), encoding="utf-8")
    readme.write(json.loads(readme.JSON.read_text(encoding="utf-8")), copy)
    assert copy.read_text(encoding="utf-8") == readme.README.read_text(encoding="utf-8")


@pytest.mark.parametrize(("argument", "status"), [("--help", 0), ("--no-such-option", 2)])
def test_a_question_for_help_or_a_mistake_costs_nobody_an_environment(
    argument: str, status: int
) -> None:
    command = readme.JSON.with_name("bench.py")
    found = subprocess.run(
        [sys.executable, "-S", command, argument], capture_output=True, text=True, check=False
    )
    assert (found.returncode, "Making" in found.stdout) == (status, False)
    assert "usage: bench.py" in found.stdout + found.stderr
