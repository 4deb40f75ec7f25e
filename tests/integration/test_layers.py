"""The walls between the wings: what import-linter is asked for fails what it should."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import segops_durable

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(
        importlib.util.find_spec("importlinter") is None,
        reason="import-linter is for those who work on it",
    ),
]

PACKAGE = Path(segops_durable.__file__).parent
CODE = "import sys; from importlinter.cli import lint_imports_command as run; run()"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and its contracts, to break."""
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PACKAGE.parent / "pyproject.toml", tmp_path)
    return tmp_path


def lint(copy: Path) -> tuple[int, str]:
    result = subprocess.run(
        [sys.executable, "-c", CODE, "--no-cache"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, " ".join((result.stdout + result.stderr).split())


def test_the_contracts_are_kept(copy: Path) -> None:
    status, output = lint(copy)
    assert (status, "0 broken" in output) == (0, True), output


@pytest.mark.parametrize(
    ("file", "contract"),
    [
        ("extras.py", "One direction of imports BROKEN"),
        ("extras/__init__.py", "One direction of imports BROKEN"),
        ("outbox/extras.py", "One direction within the outbox BROKEN"),
        ("intake/extras.py", "One direction within the intake BROKEN"),
    ],
)
def test_a_new_file_has_to_be_placed(file: str, contract: str, copy: Path) -> None:
    path = copy / PACKAGE.name / file
    path.parent.mkdir(exist_ok=True)
    path.write_text('"""What nobody has placed."""\n')
    status, output = lint(copy)
    assert status == 1
    assert contract in output
    assert "extras" in output


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        (
            "events/event.py",
            "import segops_durable.identity.users",
            "One direction of imports BROKEN",
        ),
        ("api/deadline.py", "import segops_durable.outbox", "One direction of imports BROKEN"),
        (
            "api/deadline.py",
            "import segops_durable.api.exchange",
            "No circles within a wing BROKEN",
        ),
    ],
)
def test_an_import_upwards_or_round_in_a_circle_is_refused(
    file: str, line: str, contract: str, copy: Path
) -> None:
    path = copy / PACKAGE.name / file
    path.write_text(f"{path.read_text()}\n{line}\n")
    status, output = lint(copy)
    assert (status, contract in output) == (1, True), output
