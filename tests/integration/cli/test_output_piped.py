"""What a command writes for another program: one record a line, however narrow a terminal is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from segops_durable import SegOpsClient
from support.events import leave

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python

LONG = "a path of many words " * 12
WIDTHS: tuple[dict[str, str], ...] = (
    {"COLUMNS": "20"},
    {"COLUMNS": "20", "FORCE_COLOR": "1"},
    {"COLUMNS": "1"},
    {},
)


class Piped:
    """Runs commands whose output goes into a pipe, and gives its lines."""

    def __init__(self, home: Path, url: str) -> None:
        self.path = home / LONG.replace(" ", "_")[:200] / "outbox.db"
        self.env = {
            **{name: value for name, value in os.environ.items() if "SEGOPS" not in name},
            "SEGOPS_API_URL": url,
            "SEGOPS_API_KEY": "sk_test",
            "SEGOPS_QUEUE_PATH": str(self.path),
            "XDG_CONFIG_HOME": str(home / "no-config"),
            "XDG_STATE_HOME": str(home / "state"),
            "PYTHONIOENCODING": "ascii",
        }

    def __call__(self, *words: str, width: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "segops_durable", *words],
            env={**self.env, **width},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def piped(tmp_path: Path, sandbox: Sandbox) -> Piped:
    made = Piped(tmp_path, sandbox.url)
    made.path.parent.mkdir()
    sandbox.faults(status=400, json={"payload": [f"Not a good one. {LONG}"]})
    client = SegOpsClient(
        sandbox.url, "sk_test", queue_path=made.path, on_error=lambda _error: None
    )
    with client:
        client.track(user_id="u", event_type="sad", payload={"why": LONG})
        assert client.flush(20).dead == 1
        sandbox.stop()
        client.track_many(
            {"user_id": "u", "event_type": "x", "payload": {"why": LONG}} for _ in range(3)
        )
        leave(client)
        sandbox.start()
    return made


@pytest.mark.long
@pytest.mark.parametrize("width", WIDTHS)
def test_a_record_is_a_line_for_another_program(piped: Piped, width: dict[str, str]) -> None:
    status = piped("status", width=width).stdout.splitlines()
    assert status[0].split()[1] == str(piped.path)
    assert all(re.fullmatch(r"\S.*?  \S.*", line) for line in status)  # none is folded
    assert {"waiting", "last error"} < {line.split("  ")[0] for line in status}
    peeked = piped("peek", width=width).stdout.splitlines()
    assert peeked[0] == "id\ttracked\tpriority\tevent"
    assert [line.count(LONG) for line in peeked[1:]] == [1, 1, 1]
    letters = piped("dead", "list", width=width).stdout.splitlines()
    assert len(letters) == 2
    assert letters[1].split("\t")[2:4] == ["refused", "400"]
    assert LONG.strip() in letters[1]
    config = [line.split("\t") for line in piped("config", width=width).stdout.splitlines()]
    assert ["queue_path", str(piped.path), "the environment (SEGOPS_QUEUE_PATH)"] in config
    checks = piped("doctor", "--offline", width=width).stdout.splitlines()
    assert all(line.split()[0] in {"ok", "note", "failed"} for line in checks)
    for words in (("status",), ("peek",), ("dead", "list"), ("config",), ("doctor", "--offline")):
        assert "\x1b" not in piped(*words, width=width).stdout, words


@pytest.mark.parametrize("width", WIDTHS[:2])
def test_what_is_sent_is_a_line_without_bars_in_a_log(
    piped: Piped, sandbox: Sandbox, width: dict[str, str]
) -> None:
    sandbox.faults()
    lines = piped("drain", width=width).stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("3 sent in ")


@pytest.mark.parametrize("width", WIDTHS[:2])
def test_an_import_is_told_of_without_bars_in_a_log(
    piped: Piped, tmp_path: Path, width: dict[str, str]
) -> None:
    file = tmp_path / "sales.csv"
    file.write_text("user_id,event_type\nann,x\nbob,x,y,z\n")
    for told in ("1 stored, 1 rejected", "0 stored, 0 rejected; 1 had been stored before"):
        lines = piped("import", str(file), width=width).stderr.splitlines()
        assert len(lines) == 3, lines
        assert lines[0].startswith(f"{file}: ")
        assert lines[1].startswith(told)
        assert lines[2].endswith("sales.csv.rejects.jsonl")


@pytest.mark.parametrize(
    "words", [("status",), ("status", "--json"), ("peek",), ("config",), ("doctor",), ("drain",)]
)
def test_a_command_whose_output_is_closed_does_its_work_in_silence(
    piped: Piped, words: tuple[str, ...]
) -> None:
    command = f"{sys.executable} -m segops_durable {' '.join(words)} >&- 2>&-"
    done = subprocess.run(["sh", "-c", command], env=piped.env, check=False)
    assert done.returncode in {0, 1}
    shown = subprocess.run(
        ["sh", "-c", command.removesuffix(" 2>&-")],
        env=piped.env,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert "Traceback" not in shown.stderr


def test_a_watch_writes_table_after_table(
    piped: Piped, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "segops_durable", "status", "--watch"],
        env={**piped.env, "COLUMNS": "20"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        tables = [list(iter(running.stdout.readline, "\n")) for _ in range(2)]
        running.stdout.close()  # as `head` does
        assert running.stderr.read() == ""
        wait_until(lambda: running.poll() is not None)
    for table in tables:
        assert table[0] == f"outbox                {piped.path}\n"
        assert table[-1].startswith("last error ")
