"""The units for systemd are sound, and start commands that there are."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from segops_durable.cli.commands import run

pytestmark = pytest.mark.one_python

UNITS = sorted((Path(__file__).parents[2] / "tools" / "systemd").iterdir())
SERVICES = [each for each in UNITS if each.suffix == ".service"]
MOST_EXPOSED = 1.5
_START = re.compile(r"^ExecStart=/opt/segops/bin/segops-durable (.+)$", re.MULTILINE)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_with_options_that_it_has(unit: Path) -> None:
    found = _START.search(unit.read_text())
    assert found is not None
    name, *words = shlex.split(found[1])
    context = run.commands[name].make_context(name, words)
    assert context.params["log_format"] == "json"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="it is systemd that says so")
def test_systemd_finds_nothing_wrong_with_them_and_little_exposed(tmp_path: Path) -> None:
    for unit in UNITS:  # it wants the program to be there
        text = unit.read_text().replace("/opt/segops/bin/segops-durable", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    there = [str(tmp_path / unit.name) for unit in UNITS]
    verified = subprocess.run(
        ["systemd-analyze", "verify", *there], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    for unit in SERVICES:
        command = ["systemd-analyze", "security", "--offline=true", str(tmp_path / unit.name)]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        level = re.search(r"exposure level for .*: ([\d.]+)", said)
        assert level is not None, said
        assert float(level[1]) <= MOST_EXPOSED
