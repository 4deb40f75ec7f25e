from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.differences import CASES
from support.official import Driver, one

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python
README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## What differs from the official package")[1].split("\n## ")[0]
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in SECTION.splitlines()
    if line.startswith("|") and "---" not in line
][1:]


@pytest.fixture
def drive(sandbox: Sandbox, tmp_path: Path) -> Driver:
    return Driver(sandbox, tmp_path)


def test_every_row_of_the_table_has_its_case_and_says_what_to_write_instead() -> None:
    assert len(ROWS) == len(CASES)
    for row in ROWS:
        assert len(row) == 4, row
        assert all(row), row


@pytest.mark.parametrize(
    ("row", "case"),
    list(zip((row[0] for row in ROWS), CASES, strict=False)),
    ids=[case.__name__ for case in CASES][: len(ROWS)],
)
def test_both_packages_do_what_the_table_says(
    row: str, case: Callable[[Driver], None], drive: Driver
) -> None:
    assert row
    case(drive)


def test_the_texts_of_errors_name_what_is_wrong(drive: Driver) -> None:
    for program, words in (
        (one(occurred_at="2026-01-31T12:00:00"), "occurred_at: must be ISO 8601 with a time zone"),
        (one(user_id=1.5), "user_id: "),
        (one(payload={"tags": {1}}), "payload.tags: "),
    ):
        assert words in str(drive.ours(program).raised)
