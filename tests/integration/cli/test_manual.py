"""The man pages and completions are built for real, and are those of the commands."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segops_durable.cli.commands import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

ROOT = Path(__file__).parents[3]

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(
        importlib.util.find_spec("click_man") is None, reason="click-man is of the extra dev"
    ),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("manual")
    subprocess.run(
        [sys.executable, ROOT / "tools" / "manual.py", directory],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return directory


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    for each, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{name}-{each}")


def test_every_command_has_a_page_with_all_its_options_and_its_example(built: Path) -> None:
    expected = dict(commands(run, "segops-durable"))
    pages = {page.stem: page.read_text() for page in (built / "man1").iterdir()}
    assert set(pages) == set(expected)
    for name, command in expected.items():
        plain = pages[name].replace("\\-", "-").replace("\\fP", "").replace("\\fB", "")
        for parameter in command.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert option in plain, (name, option)
        assert ".SH EXAMPLE\n.nf\n" in plain, name
        for other in re.findall(r"See (\S+)\(1\)", plain):
            assert other in pages, (name, other)
        assert "..." not in plain.split(".SH SYNOPSIS")[0], name


@pytest.mark.skipif(not shutil.which("groff"), reason="nothing here formats pages")
def test_every_page_is_formatted_without_a_warning_and_keeps_its_example(built: Path) -> None:
    for page in (built / "man1").iterdir():
        done = subprocess.run(
            ["groff", "-man", "-Kutf8", "-Tutf8", "-ww", page],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == "", page
        lines = [
            line.strip()
            for line in page.read_text().split(".nf\n")[1].split("\n.fi")[0].split("\n")
        ]
        shown = done.stdout.replace("\u2010", "-").replace("\u2212", "-")
        assert all(line in shown for line in lines), page


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes_commands_and_options_with_the_script(built: Path, tmp_path: Path) -> None:
    script = built / "completions" / "bash" / "segops-durable"
    program = tmp_path / "segops-durable"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.argv[0] = 'segops-durable'\n"
        "from segops_durable.__main__ import main\nmain()\n"
    )
    program.chmod(0o755)
    for words, expected in (
        ("segops-durable dr", "drain"),
        ("segops-durable dead dis", "discard"),
        ("segops-durable status --max-w", "--max-waiting"),
        ("segops-durable status --format prom", "prometheus"),
    ):
        typed = words.split(" ")
        code = (
            f"source {script}; COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; "
            "$(complete -p segops-durable | sed 's/.*-F \\([^ ]*\\) .*/\\1/') segops-durable; "
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "-c", code],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.split() == [expected], done.stderr


@pytest.mark.parametrize(
    ("shell", "name"), [("zsh", "_segops-durable"), ("fish", "segops-durable.fish")]
)
def test_the_scripts_of_other_shells_ask_the_command_itself(
    built: Path, shell: str, name: str
) -> None:
    text = (built / "completions" / shell / name).read_text()
    assert f"_SEGOPS_DURABLE_COMPLETE={shell}_complete" in text
    if shutil.which(shell):
        subprocess.run([shell, "-n", built / "completions" / shell / name], check=True)
