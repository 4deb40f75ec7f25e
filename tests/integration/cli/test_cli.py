from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import requests
from click.testing import CliRunner
from reference import REFERENCE, reference

from segops_durable import __version__, sign_user_id
from segops_durable.cli.commands import run

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

COMMAND = [sys.executable, "-m", "segops_durable"]


def test_every_command_has_a_help() -> None:
    runner = CliRunner()
    assert __version__ in runner.invoke(run, ["--version"]).output
    for command in run.commands:
        result = runner.invoke(run, [command, "--help"])
        assert result.exit_code == 0
        assert f"segops-durable {command}" in result.output


def test_the_sandbox_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    store = tmp_path / "accepted.db"
    with subprocess.Popen(
        [*COMMAND, "sandbox", "--port", "0", "--store", str(store)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split(" on ")[1].split()[0]
        answer = requests.post(
            f"{url}/api/ingestion/track/",
            json={"user_id": "u", "event_type": "e"},
            headers={"Authorization": "ApiKey sk_test"},
            timeout=10,
        )
        assert answer.json() == {"queued": True}
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    assert store.exists()


def test_a_port_that_is_taken_is_told(sandbox: Sandbox) -> None:
    port = sandbox.url.rpartition(":")[2]
    result = CliRunner().invoke(run, ["sandbox", "--port", port])
    assert result.exit_code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in result.output


@pytest.mark.parametrize("module", ["segops_durable", "segops_durable.cli"])
@pytest.mark.parametrize("missing", ["click", "starlette", "rich"])
def test_a_missing_extra_is_named(missing: str, module: str) -> None:
    code = f"import sys, runpy; sys.modules[{missing!r}] = None; "
    code += f"sys.argv[1:] = [{'demo' if missing == 'rich' else 'sandbox'!r}]; "
    code += f"runpy.run_module({module!r}, run_name='__main__')"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert 'pip install "segops-durable[' in result.stderr
    assert "Traceback" not in result.stderr


def test_the_module_and_the_script_are_the_same_command() -> None:
    result = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert __version__ in result.stdout


SECRET = "5e" * 32


@pytest.mark.parametrize("is_in_environment", [True, False])
def test_sign_signs_with_a_secret_from_the_environment_or_from_standard_input(
    is_in_environment: bool,
) -> None:
    environment = {name: value for name, value in os.environ.items() if "SEGOPS" not in name}
    if is_in_environment:
        environment["SEGOPS_HMAC_SECRET"] = SECRET
    found = subprocess.run(
        [*COMMAND, "sign", "ann", "--ts", "1800000000"],
        input="" if is_in_environment else f"{SECRET}\n",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(found.stdout) == sign_user_id(SECRET, "ann", 1_800_000_000)


@pytest.mark.parametrize("secret", ["", "not hexadecimal"])
def test_sign_refuses_what_is_no_secret_without_repeating_it(secret: str) -> None:
    found = subprocess.run(
        [*COMMAND, "sign", "ann"], input=secret, capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    assert "the HMAC secret is wrong: secret_hex must" in found.stderr
    assert "not hexadecimal" not in found.stderr


def test_the_reference_is_that_of_the_commands() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference(), "run tools/reference.py"


def test_every_command_has_an_example_and_every_option_its_help() -> None:
    text = reference()
    assert text.count("```console") == text.count("\n## ")
    for line in text.splitlines():
        assert not line.startswith("- `") or line.split("`: ")[1], line
