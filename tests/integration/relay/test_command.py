"""A command that signs: whatever it does, it takes a bounded time, and a bounded memory."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from segops_durable.relay.command import CommandError, ask_command

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.one_python

LONG = 600.0


def ask(code: str, seconds: float = LONG, most: int = 1000, question: bytes = b"q") -> bytes:
    return ask_command([sys.executable, "-c", code], question, seconds, most)


def test_what_a_command_prints_is_the_answer_to_what_it_was_asked() -> None:
    assert ask("print(input() * 2, end='')") == b"qq"
    assert ask("print('x' * 1000, end='')") == b"x" * 1000


def test_a_command_may_ask_for_nothing() -> None:
    assert ask("import os; os.close(0); print(1)", question=b"q" * 1_000_000) == b"1\n"


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        # without a bound each would go on for as long as it may take, and all of it be kept
        ("while True: print('x' * 9999)", "said too much"),
        ("print('x' * 1001, end='')", "said too much"),
        ("raise SystemExit(3)", "status 3"),
    ],
)
def test_a_command_that_gives_no_answer_is_ended_at_once(code: str, problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        ask(code)


def test_what_it_says_beside_its_answer_is_not_kept() -> None:
    assert ask("import sys; print(*range(9**6), file=sys.stderr); print(1)") == b"1\n"


def test_a_command_that_cannot_be_run_says_so() -> None:
    for words in (["no-such-command"], ["nul\0"]):
        with pytest.raises(CommandError, match="has not run"):
            ask_command(words, b"", LONG, 9)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no sessions of processes")
def test_one_that_takes_too_long_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    alive.write_text("")
    held = f"import fcntl, sys, time; fcntl.flock(open({str(alive)!r}), 2); time.sleep(600)"
    code = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {held!r}])
time.sleep(600)
"""
    with pytest.raises(CommandError, match="too long"):
        ask(code, seconds=3.0)
    import fcntl  # noqa: PLC0415 - there is none elsewhere

    with alive.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # whoever had it is gone, or this would wait
