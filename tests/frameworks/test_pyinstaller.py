"""A program in one file, made by PyInstaller."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox
    from support.programs import Programs

pytestmark = [pytest.mark.long, pytest.mark.one_python]

NOT_OF_A_KIOSK = ("django", "hypothesis", "pytest", "setuptools", "tornado", "trio")
"""What lies beside the package here alone: to look through it takes twice as long as all else."""


def test_a_program_in_one_file_starts_tracks_and_sends_what_it_finds(
    sandbox: Sandbox, programs: Programs
) -> None:
    command = [sys.executable, "-m", "PyInstaller", "--onefile", "--log-level", "WARN"]
    command += [f"--exclude-module={each}" for each in NOT_OF_A_KIOSK]
    made = subprocess.run(
        [*command, "kiosk.py"],
        cwd=programs.home,
        env=programs.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr

    def run(screen: str) -> str:
        kiosk = programs.home / "dist" / "kiosk"
        bare = {name: value for name, value in programs.environ.items() if "SEGOPS" in name}
        return subprocess.check_output([kiosk, screen], env=bare, text=True, timeout=60)

    sandbox.faults(status=503)
    assert run("Start") == "1 waiting\n"
    sandbox.faults()
    assert run("Pricing") == "0 waiting\n"
    screens = [row["event"]["payload"]["screen"] for row in sandbox.events()]
    assert sorted(screens) == ["Pricing", "Start"]
