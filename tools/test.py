"""Run every check on a machine with nothing but Python: ``python3 tools/test.py``.

Format, lint, types, the direction of imports; and the tests: the short ones with branch
coverage, the long ones, and those that depend on the version of Python on every other supported
one that is installed. The first two are divided, and several runs go on at a time; on other
Pythons they begin while this one's environment is still being made.

``check`` runs the checks alone, or those that are named after it: ``python3 tools/test.py check
lint``. ``--spark`` runs the tests of Spark alone, in an environment of their own, and needs Java
17 or later; ``--spark=4.0`` does with another version of pyspark than the newest, and
``--with-spark`` runs them beside all others. Any other arguments go to pytest, and then nothing
else runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from _checks import commands_of_checks
from _environment import PYTHONS, ROOT, environment

if TYPE_CHECKING:
    from concurrent.futures import Future

LEAST_COVERAGE = 90
AT_A_TIME = (os.cpu_count() or 1) + 1
"""Runs at once: a third of the time a test waits, for a disk, a clock or another process."""
ELSEWHERE_AT_A_TIME = 2
"""Other Pythons whose tests run at once."""
_PYTEST = ("-m", "pytest", "-q", "-m")
SHORT = (*_PYTEST, "not long")
LONG = (*_PYTEST, "long", "--durations=5")
ELSEWHERE = (
    *(*_PYTEST, "(not long or each_python) and not one_python"),
    "--hypothesis-profile=elsewhere",
)
SHORT_PARTS = (
    ("tests/integration/client", "tests/integration/delivery"),
    ("tests/integration/intake", "tests/integration/cli"),
    ("tests/integration/outbox",),
)
LONG_PARTS = (("tests/acceptance",), ("tests/tools",), ("tests/frameworks",))
"""What runs beside the others of its kind; those that no part names run together."""
SPARK = ("-m", "pytest", "-q", "-o", "timeout=900", "-o", "faulthandler_timeout=890")
"""Its tests are collected only where it is installed, which is 0.5 GB: in the extra sparktest.

To start a JVM takes seconds, and minutes on a machine that is busy with other tests.
"""
SPARK_PART = ("tests/spark/test_kills.py", "tests/spark/test_programs.py")
"""Those that start JVMs of their own; beside them run the others, one of which only waits."""


def main(arguments: list[str]) -> int:
    """Run everything, or what the arguments ask for."""
    if arguments in ([], ["--with-spark"]):
        return _run_everything(has_spark=bool(arguments))
    option, _, version = arguments[0].partition("=")
    if option == "--spark":
        return _test_spark(*arguments[1:], version=version)
    python = str(environment("dev"))
    if arguments[:1] != ["check"]:
        return _run("tests", [python, "-m", "pytest", *arguments])
    checks = commands_of_checks(python)
    unknown = set(arguments[1:]) - set(checks)
    if unknown:
        print(f"no check is called {', '.join(sorted(unknown))}; there are {', '.join(checks)}")
        return 2
    return _run_all({name: checks[name] for name in arguments[1:] or checks})


def _run_everything(*, has_spark: bool) -> int:
    """Run the checks and the tests, several at a time; what each says is kept together."""
    jobs: dict[str, Future[int]] = {}
    others = _other_pythons()
    with ThreadPoolExecutor(AT_A_TIME) as pool:

        def begin(commands: dict[str, list[str]]) -> None:
            for name, command in commands.items():
                jobs[name] = pool.submit(_run_beside, f"tests on {name}", command)

        def begin_elsewhere(versions: list[str]) -> None:
            for version in versions:
                name = f"Python {version}"
                jobs[name] = pool.submit(_test_elsewhere, name, others[version])

        if has_spark:  # first, as it takes long: its environment is 0.5 GB
            jobs["Spark"] = pool.submit(_test_spark)
        begin_elsewhere(list(others)[:ELSEWHERE_AT_A_TIME])
        python = str(environment("dev"))
        coverage = [python, "-m", "coverage"]
        if _run("no stale coverage", [*coverage, "erase"]):
            return 1
        mine = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        # the longest first: one that begins last has all others wait for it
        begin(_divided(f"{mine}, the long ones", [python, *LONG], LONG_PARTS))
        begin_elsewhere(list(others)[ELSEWHERE_AT_A_TIME:])
        begin(_divided(f"{mine}, with coverage", [*coverage, "run", *SHORT], SHORT_PARTS))
        jobs["checks"] = pool.submit(_check_beside, commands_of_checks(python))
        failed = [name for name, job in jobs.items() if job.result()]
    if failed:
        print(f"\nFAILED: {'; '.join(failed)}")
        return 1
    return _run_all(
        {
            "coverage data": [*coverage, "combine", "-q"],
            "coverage": [*coverage, "report", f"--fail-under={LEAST_COVERAGE}"],
        }
    )


def _run_all(commands: dict[str, list[str]]) -> int:
    return next((1 for name, command in commands.items() if _run(name, command)), 0)


def _check_beside(checks: dict[str, list[str]]) -> int:
    return max(_run_beside(name, command) for name, command in checks.items())


def _test_elsewhere(name: str, interpreter: str) -> int:
    python = str(environment("test", interpreter))
    return _run_beside(f"tests on {name}", [python, *ELSEWHERE])


def _test_spark(*arguments: str, version: str = "") -> int:
    """Run the tests of Spark, in two parts beside each other; or what the arguments say."""
    python = environment("sparktest", held_to=f"pyspark=={version}.*" if version else "")
    command = [str(python), *SPARK]
    if arguments:
        has_paths = any(each.startswith("tests") for each in arguments)
        paths = [] if has_paths else ["tests/spark"]
        return _run("tests of Spark", [*command, *arguments, *paths])
    rest = ["tests/spark", *(f"--ignore={path}" for path in SPARK_PART)]
    parts = {
        "tests of Spark, JVMs of their own": [*command, *SPARK_PART],
        "tests of Spark, all others": [*command, *rest],
    }
    with ThreadPoolExecutor(len(parts)) as pool:
        return max(pool.map(_run_beside, parts, parts.values()))


def _divided(
    name: str, command: list[str], parts: tuple[tuple[str, ...], ...]
) -> dict[str, list[str]]:
    """Divide a run into its parts and one of all that no part names."""
    named = [path for part in parts for path in part]
    rest = ["tests", *(f"--ignore={path}" for path in named)]
    divided = {f"{name}: {' '.join(part)}": [*command, *part] for part in parts}
    return {f"{name}: all others": [*command, *rest], **divided}


def _run_beside(name: str, command: list[str]) -> int:
    """Run a command beside others, and print what it said when it has ended."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="segops-tests-") as scratch:
        Path(scratch).chmod(0o755)  # programs of other users run below it, too
        result = subprocess.run(
            command,
            cwd=ROOT,
            # its own place: two that run at once would clean up in each other's
            env={**os.environ, "PYTEST_DEBUG_TEMPROOT": scratch},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    print(f"\n== {name}\n{result.stdout}{_ending(name, result.returncode, start)}", flush=True)
    return abs(result.returncode)


def _other_pythons() -> dict[str, str]:
    """The interpreters of other supported versions, where they are installed."""
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = {version: _find_python(version) for version in PYTHONS if version != mine}
    return {version: python for version, python in found.items() if python is not None}


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
    print(_ending(name, status, start))
    return status


def _ending(name: str, status: int, start: float) -> str:
    return f"-- {name}: {'FAILED' if status else 'ok'}, {time.monotonic() - start:.1f} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
