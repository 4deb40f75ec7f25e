"""A signal handler that calls in works, or raises an error of ours, wherever it comes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support import interrupts

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


def interrupt_all(sandbox: Sandbox, directory: Path, seed: int, times: int) -> None:
    command = [sys.executable, interrupts.__file__, sandbox.url, str(directory)]
    result = subprocess.run(
        [*command, str(seed), str(times)], capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.returncode) == ("done\n", 0), result.stderr


def test_calls_that_interrupt_others_do_not_hang(sandbox: Sandbox, tmp_path: Path) -> None:
    interrupt_all(sandbox, tmp_path, seed=0, times=30)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
def test_no_call_that_interrupts_another_at_any_instruction_hangs_or_ends_in_a_strange_error(
    sandbox: Sandbox, tmp_path: Path, seed: int
) -> None:
    interrupt_all(sandbox, tmp_path, seed, times=450)
