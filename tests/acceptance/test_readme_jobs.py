"""Every example of README's section on ETL jobs runs, and prints what is written there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segops_durable import SegOpsClient
from support.console import KILLED, Console, Step, blocks

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("bash"), reason="the examples are for a shell"),
]

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## In an ETL job\n")[1].split("\n## ")[0]
BLOCKS = blocks(SECTION)
BAD = "somebody,order_placed\r\n"


def sales(steps: list[Step]) -> str:
    """The file of the example: as many rows as it counts, with a bad one in the line it says."""
    said = "\n".join(line for step in steps for line in step.expected)
    counts = re.findall(r"([\d,]+) stored, ([\d,]+) rejected(?:; ([\d,]+) had been stored)?", said)
    rows = max(sum(int(each.replace(",", "")) for each in found if each) for found in counts)
    bad = re.search(r'"line": (\d+)', said)
    lines = [
        f"user-{number}@shop.example,order_placed,2026-01-31T12:00:00Z,{number % 90}.5\r\n"
        for number in range(rows)
    ]
    if bad is not None:
        lines[int(bad[1]) - 2] = BAD  # the first line is the header
    return "email,event_type,at,total\r\n" + "".join(lines)


MAKERS = {"sales.csv": sales}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_console_block_prints_what_is_written_there(
    number: int, sandbox: Sandbox, tmp_path: Path
) -> None:
    steps = BLOCKS[number]
    console = Console(tmp_path, sandbox.url)
    for name, make in MAKERS.items():
        if any(name in step.command for step in steps):
            (tmp_path / name).write_text(make(steps), newline="")
    for step in steps:
        console.run(step)


def test_the_examples_are_there_and_all_of_their_files_are_made() -> None:
    commands = [step.command for steps in BLOCKS for step in steps]
    assert any(command.startswith("segops-durable import") for command in commands)
    assert any(step.expected == [KILLED] for steps in BLOCKS for step in steps)
    named = {
        name
        for each in commands
        for name in re.findall(r"[\w./-]+\.(?:csv|jsonl|parquet)\S*", each)
    }
    ours = {*MAKERS, *(f"{name}.rejects.jsonl" for name in MAKERS)}
    assert named <= ours


def test_what_is_imported_is_what_the_file_holds(sandbox: Sandbox, tmp_path: Path) -> None:
    steps = [Step("import", ['9 stored, 1 rejected\n{"line": 4}'])]
    console = Console(tmp_path, sandbox.url)
    (tmp_path / "sales.csv").write_text(sales(steps), newline="")
    command = "segops-durable import sales.csv --map user_id=email --map occurred_at=at 2>/dev/null"
    console.run(Step(f"{command}; echo $?", ["1"]))
    with SegOpsClient(sandbox.url, "sk_test", queue_path=console.queue_path) as client:
        assert client.flush(20).sent == 9
    assert {row["event"]["payload"]["total"] for row in sandbox.events()} == {
        0.5, 1.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5,
    }  # fmt: skip
