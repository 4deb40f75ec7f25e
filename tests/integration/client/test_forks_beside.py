"""Forks while another thread makes a client."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

PROGRAM = """
import os, signal, sys, threading
from segops_durable import SegOpsClient
from segops_durable.client import opening
from segops_durable.outbox import Outbox

def make():
    return SegOpsClient(sys.argv[1], "sk_test", queue_path=sys.argv[2], lock_timeout=0.5)

client = make()
event = {"user_id": "u-1", "event_type": "page_viewed"}
client.track(event)
is_open, usually = threading.Event(), opening.intake_of

def intake_of(options, outbox, users, clock):
    outbox._store._live.current().writer.execute("BEGIN IMMEDIATE")
    is_open.set()
    threading.Event().wait(0.5)  # for the one who forks, if it can
    outbox._store._live.current().writer.execute("ROLLBACK")
    return usually(options, outbox, users, clock)

opening.intake_of = intake_of
other = threading.Thread(target=lambda: made.append(make()))
made = []
other.start()
is_open.wait(60)
child = os.fork()
if not child:
    status = 1
    try:
        signal.alarm(60)
        client.track(event)
        status = 0
    finally:
        os._exit(status)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
other.join()
assert client.flush(60).ok
made[0].track(event)
assert made[0].stats().accepted_total == 2
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_waits_for_a_client_that_another_thread_makes(
    sandbox: Sandbox, queue_path: Path
) -> None:
    """SQLite would take what the parent has locked for locked in the child, for ever."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, sandbox.url, str(queue_path)]
    assert subprocess.run(command, timeout=200, check=False).returncode == 0
