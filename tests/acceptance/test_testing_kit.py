"""The testing kit as README shows it, and as somebody has it who has just installed it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").split("## Testing your own program")[1]
FIXTURES, IN_MEMORY = re.findall(r"```python\n(.*?)```", SECTION.split("\n## ")[0], re.DOTALL)

SHOP = """
def place_order(client, user, total):
    client.track(user_id=user, event_type="order_placed", payload={"total": total})
"""
TEN_LINES = """
from segops_durable import Event


def test_it_is_tracked(segops_client, segops_events):
    segops_client.track(Event("u-1", "page_viewed", payload={"n": 1}))
    assert segops_events.by_user("u-1").wait_for(1)[0]["payload"] == {"n": 1}


def test_it_waits(segops_client, segops_offline):
    segops_client.track(user_id="u-1", event_type="page_viewed")
    assert segops_client.flush().pending == 1
"""
LOADED_BEFORE = "import segops_durable, sys, pytest; sys.exit(pytest.main(['-q', '-W', 'error']))"
NOT_REWRITTEN = """
from segops_durable import client, errors

def test_the_package_is_as_python_loads_it():
    assert not {"@py_builtins", "@pytest_ar"} & {*vars(client), *vars(errors)}
"""


def write(directory: Path, **files: str) -> None:
    for name, text in files.items():
        (directory / f"{name}.py").write_text(text)


def test_the_examples_run_as_they_stand(tmp_path: Path) -> None:
    write(tmp_path, shop=SHOP, test_shop=FIXTURES, test_memory=f"def test_it():\n{_indented()}")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:asyncio"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "3 passed" in result.stdout, result.stdout


PAGE_OF_A_SANDBOX = """
import requests
from segops_durable.sandbox import Sandbox
with Sandbox() as sandbox:
    for path in ("/", "/page/sandbox.js"):
        print(requests.get(sandbox.url + path).status_code, end=" ")
"""
"""Its files are no modules: a wheel could lack them."""


def _indented() -> str:
    return textwrap.indent(IN_MEMORY, "    ")


@pytest.mark.long
def test_ten_lines_pass_where_nothing_but_the_extra_is_installed(tmp_path: Path) -> None:
    """With a wheel, too: of a checkout pytest rewrites nothing, whatever the plugin does."""
    assert len([line for line in TEN_LINES.splitlines() if line]) <= 10
    home = tmp_path / "fresh"
    venv.create(home, with_pip=True)
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    clean = {name: each for name, each in os.environ.items() if "COVERAGE" not in name}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(python), *arguments],
            cwd=tmp_path,
            env=clean,
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )

    installed = run("-m", "pip", "install", "-q", f"{ROOT}[testing]")
    if "No matching distribution" in installed.stderr or "Max retries" in installed.stderr:
        pytest.skip("no index of packages can be reached")
    assert installed.returncode == 0, installed.stderr
    assert run("-c", PAGE_OF_A_SANDBOX).stdout.strip() == "200 200"
    write(tmp_path, test_first=TEN_LINES, test_rewriting=NOT_REWRITTEN)
    result = run("-m", "pytest", "-q", "-W", "error")
    assert "3 passed" in result.stdout, result.stdout
    again = run("-c", LOADED_BEFORE)
    assert "3 passed" in again.stdout, again.stdout + again.stderr
    assert "warning" not in again.stdout
