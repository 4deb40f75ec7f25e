"""The project's own virtual environment, made on first use and mended when it is stale."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
"""What the tests run on, where it is installed. The package claims those that they ran on."""


def environment(extra: str, python: str | None = None, *, held_to: str = "") -> Path:
    """Make sure that a virtual environment has the package with an extra.

    Args:
        extra: An extra of the package, ``sandbox``, ``test`` or ``dev``; or some of them, as
            ``relay,sandbox``.
        python: The interpreter to make it with. Defaults to the running one.
        held_to: A version of something in the extra, as ``pyspark==4.0.*``. Defaults to none: the
            newest that the extra allows.

    Returns:
        The environment's interpreter.
    """
    version = _version(python or sys.executable)
    held = re.sub(r"[^a-z0-9.]|\.\*", "", held_to)
    home = ROOT / f".venv-{extra.replace(',', '-')}{held and '-' + held}-{version}"
    interpreter = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = home / "made-of"
    made_of = hashlib.sha256(_what_pip_reads()).hexdigest()
    if stamp.is_file() and stamp.read_text() == made_of:
        return interpreter
    print(f"Making the environment {home.name} …", flush=True)
    if stamp.is_file():
        stamp.unlink()  # from here on it is half of one thing and half of another
    elif python is None:
        # the pip that comes with an older Python takes a minute more to choose the versions
        venv.create(home, with_pip=True, clear=True, upgrade_deps=True)
    else:
        subprocess.run([python, "-m", "venv", "--clear", "--upgrade-deps", str(home)], check=True)
    # most of what is installed is never imported, and what is gets compiled then
    install = [str(interpreter), "-m", "pip", "install", "-qq", "--no-compile"]
    install += ["--disable-pip-version-check", "--editable", f"{ROOT}[{extra}]"]
    install += [held_to] if held_to else []
    if subprocess.run(install, check=False).returncode:
        sys.exit(f"pip could not install what {home.name} needs; see above")
    stamp.write_text(made_of)
    return interpreter


def _what_pip_reads() -> bytes:
    """What is said of the project; the settings of tools come below it."""
    return (ROOT / "pyproject.toml").read_bytes().partition(b"\n[tool.")[0]


def run_tool(module: str, extra: str, needs: tuple[str, ...] = ()) -> int:
    """Run a tool's `main` here; or in an environment of its own, where something is missing.

    Args:
        module: The module that has a `main`, which takes the arguments of the command.
        extra: An extra of the package, with what the tool needs.
        needs: Modules that it needs beside the package itself. Defaults to none.

    Returns:
        The status to end with.
    """
    if all(_is_here(each) for each in ("segops_durable", "requests", *needs)):
        status: int = importlib.import_module(module).main(sys.argv[1:])
        return status
    python = environment(extra)
    return subprocess.run([str(python), *sys.argv], check=False).returncode


def _is_here(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # what it is in is not there
        return False


def _version(python: str) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
