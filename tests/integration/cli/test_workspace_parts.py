"""What a command that only stores is made of: nothing that sends.

The library `requests` is imported all the same: an address is written as that one would send it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox
    from support.commands import Commands

pytestmark = pytest.mark.one_python

# looks on while the command runs, and changes nothing of it
OBSERVED = """
import json, sys

made, done = set(), set()

def look(frame, event, _argument):
    if event != "call":
        return
    if frame.f_code.co_name == "__init__":
        kinds = type(frame.f_locals.get("self")).__mro__
        made.update(f"{each.__module__}.{each.__name__}" for each in kinds)
    elif frame.f_code.co_name == "start" and frame.f_globals["__name__"] == "threading":
        done.add("a thread's start")

sys.addaudithook(lambda event, _arguments: done.add(event))
sys.setprofile(look)
try:
    from segops_durable.cli.start import main
    main()
finally:
    sys.setprofile(None)
    print(json.dumps([sorted(made), sorted(done)]))
"""
SENDS = {
    "requests.sessions.Session",
    "segops_durable.api.exchange.Exchange",
    "segops_durable.delivery.flusher.Flusher",
    "segops_durable.delivery.sender.Sender",
}
STORES = {"segops_durable.outbox.outbox.Outbox", "segops_durable.intake.intake.Intake"}
GOES_OUT = {"a thread's start", "socket.connect"}


def observed(commands: Commands, *words: str) -> tuple[set[str], set[str]]:
    """What is made in a process of a command, and what it asks of the system."""
    result = subprocess.run(
        [sys.executable, "-c", OBSERVED, *words],
        env={**os.environ, **commands.env},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    made, done = json.loads(result.stdout.splitlines()[-1])
    return set(made), set(done)


def test_track_stores_with_nothing_that_sends(commands: Commands, sandbox: Sandbox) -> None:
    made, done = observed(commands, "track", "ann", "x")
    assert made >= STORES
    assert not made & SENDS
    assert not done & GOES_OUT
    assert (commands.waiting(), len(sandbox.requests())) == (1, 0)


def test_track_that_flushes_sends_it(commands: Commands, sandbox: Sandbox) -> None:
    made, done = observed(commands, "track", "ann", "x", "--flush")
    assert made >= STORES | SENDS
    assert done >= GOES_OUT
    assert (commands.waiting(), len(sandbox.events())) == (0, 1)
