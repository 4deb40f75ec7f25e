"""What a script tracks is on disk when the command returns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox
    from support.commands import Commands

pytestmark = pytest.mark.one_python


def test_an_event_of_a_script_is_on_disk_when_the_command_returns(
    commands: Commands, sandbox: Sandbox
) -> None:
    sandbox.stop()
    commands("track", "ann", "door_opened", "door=north", "n=3", "open=true", "x=NaN")
    commands("track", "ann", "page_viewed", "--payload", '{"a": [1]}', "b=2")
    commands("identify", "ann", "plan=pro", "--traits", '{"seats": 3}')
    events = [json.loads(line)["event"] for line in commands("peek", "--json").stdout.splitlines()]
    assert [event["event_type"] for event in events] == [
        "door_opened",
        "page_viewed",
        "context_identified",
    ]
    assert [event["payload"] for event in events] == [
        {"door": "north", "n": 3, "open": True, "x": "NaN"},
        {"a": [1], "b": 2},
        {"seats": 3, "plan": "pro"},
    ]
    assert "door_opened" in commands("peek", "--limit", "1").stdout
    commands("track", "ann", "x", "--flush", "--timeout", "1", status=1)
    sandbox.start()
    assert "sent in" in commands("track", "ann", "x", "--flush").stderr
    assert len(sandbox.events()) == 5


def test_a_priority_that_is_given_decides_which_leave_first(
    commands: Commands, sandbox: Sandbox
) -> None:
    sandbox.stop()
    commands("track", "ann", "third", "--priority", "low")
    commands("track", "ann", "second")
    commands("identify", "ann", "--priority", "high")
    assert "is not one of" in commands("track", "ann", "x", "--priority", "urgent", status=2).output
    peeked = [json.loads(line) for line in commands("peek", "--json").stdout.splitlines()]
    assert [each["priority"] for each in peeked] == ["low", "normal", "high"]
    sandbox.start()
    commands("drain")
    sent = [row["event"]["event_type"] for row in sandbox.events()]
    assert sent == ["context_identified", "second", "third"]


def test_a_full_queue_is_told_of_by_the_command_that_meets_it(
    commands: Commands, sandbox: Sandbox
) -> None:
    sandbox.stop()
    commands.env["SEGOPS_MAX_QUEUE_EVENTS"] = "1"
    commands("track", "ann", "x")
    output = commands("track", "ann", "x", status=1).output
    assert "is full: it holds 1 events" in output
    assert "once SegOps can be reached" in output
    assert commands.waiting() == 1
