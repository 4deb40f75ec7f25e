"""Run every check on a machine with nothing but Python: ``python3 tools/test.py``.

Format, lint, types, the direction of imports, the tests with branch coverage; then the
tests, but for the long ones, on every other supported Python that is installed.
Arguments go to pytest, and then nothing but pytest runs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from _environment import ROOT, environment

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
LEAST_COVERAGE = 90


def main(arguments: list[str]) -> int:
    """Run the checks in order; stop at the first that fails."""
    python = str(environment("dev"))
    if arguments:
        return _run("tests", [python, "-m", "pytest", *arguments])
    coverage = [python, "-m", "coverage"]
    checks = {
        "format": [python, "-m", "ruff", "format", "--check", "."],
        "lint": [python, "-m", "ruff", "check", "."],
        "types": [python, "-m", "mypy"],
        "import direction": [str(Path(python).with_name("lint-imports")), "--no-cache"],
        "no stale coverage": [*coverage, "erase"],
        "tests": [*coverage, "run", "-m", "pytest", "-q"],
        "coverage data": [*coverage, "combine", "-q"],
        "coverage": [*coverage, "report", f"--fail-under={LEAST_COVERAGE}"],
    }
    for name, command in checks.items():
        if _run(name, command):
            return 1
    return _run_on_other_pythons()


def _run_on_other_pythons() -> int:
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version in PYTHONS:
        interpreter = _find_python(version)
        if version == mine or interpreter is None:
            continue
        python = str(environment("test", interpreter))
        command = [python, "-m", "pytest", "-q", "-m", "not long"]
        if _run(f"tests on Python {version}", command):
            return 1
    return 0


def _find_python(version: str) -> str | None:
    """Find an interpreter that runs: on PATH, or one of pyenv's that is not on it."""
    candidates = [shutil.which(f"python{version}")]
    pyenv = shutil.which("pyenv")
    if pyenv is not None:
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False)
        found = Path(root.stdout.strip(), "versions").glob(f"{version}.*/bin/python")
        candidates += [str(each) for each in sorted(found)]
    for candidate in candidates:
        if (
            candidate
            and not subprocess.run(
                [candidate, "-c", "import venv, sqlite3"], capture_output=True, check=False
            ).returncode
        ):
            return candidate
    return None


def _run(name: str, command: list[str]) -> int:
    print(f"\n== {name}", flush=True)
    start = time.monotonic()
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    print(f"-- {name}: {'ok' if not status else 'FAILED'}, {time.monotonic() - start:.1f} s")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
