"""A function that is frozen after each answer, and thawed for the next call."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segops_durable.sandbox import Sandbox
    from support.programs import Programs

pytestmark = [
    pytest.mark.long,
    pytest.mark.one_python,
    pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing can be stopped"),
]

RUNTIME = """
import json, sys
from lambda_function import handler
for line in sys.stdin:
    print(json.dumps(handler(json.loads(line), None)), flush=True)
"""


class Function:
    """The function's process, which runs only while it is called."""

    def __init__(self, programs: Programs) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUNTIME],
            cwd=programs.home,
            env=programs.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.process.send_signal(signal.SIGSTOP)

    def call(self, number: int) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.send_signal(signal.SIGCONT)
        print(json.dumps({"user": "u-1", "n": number}), file=self.process.stdin, flush=True)
        waiting: int = json.loads(self.process.stdout.readline())["waiting"]
        self.process.send_signal(signal.SIGSTOP)
        return waiting


@pytest.fixture
def function(programs: Programs) -> Iterator[Function]:
    running = Function(programs)
    yield running
    running.process.kill()
    running.process.communicate()


def test_each_call_leaves_nothing_to_a_thread_that_does_not_run(
    sandbox: Sandbox, function: Function
) -> None:
    for number in range(5):
        assert function.call(number) == 0
        assert len(sandbox.events()) == number + 1


def test_what_could_not_be_sent_before_the_freeze_goes_out_with_the_next_call(
    sandbox: Sandbox, function: Function
) -> None:
    sandbox.faults(status=503)
    assert function.call(0) == 1
    assert function.call(1) == 2
    sandbox.faults()
    assert function.call(2) == 0
    assert sorted(row["event"]["payload"]["n"] for row in sandbox.events()) == [0, 1, 2]
    assert sandbox.summary()["conflicting_keys"] == 0
