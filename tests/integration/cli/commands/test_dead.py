"""Dead letters, in the hands of a technician."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox
    from support.commands import Commands

pytestmark = pytest.mark.one_python


def test_dead_letters_are_listed_shown_exported_put_back_and_discarded(
    commands: Commands, sandbox: Sandbox
) -> None:
    sandbox.faults(status=400, json={"payload": ["Too sad."]})
    for number in range(3):
        commands("track", "ann", "x", f"n={number}")
    commands("drain", status=1)
    assert "Too sad." in commands("dead", "list").stdout
    listed = [json.loads(line) for line in commands("dead", "list", "--json").stdout.splitlines()]
    assert [letter["event"]["payload"]["n"] for letter in listed] == [0, 1, 2]
    shown = json.loads(commands("dead", "show", "2").stdout)
    assert (shown["cause"], shown["status"], shown["id"]) == ("refused", 400, 2)
    assert "there is no dead letter 9" in commands("dead", "show", "9", status=1).output
    file = commands.home / "dead.jsonl"
    commands("dead", "export", str(file))
    assert [json.loads(line) for line in file.read_text().splitlines()] == listed
    commands("dead", "discard", "1", text="n\n", status=1)
    assert commands.json("status")["dead"] == 3
    commands("dead", "discard", "1", text="y\n")
    commands("dead", "discard", "2", "77", "--yes")
    sandbox.faults()
    assert "1 put back" in commands("dead", "retry").stdout
    commands("drain")
    assert [row["event"]["payload"]["n"] for row in sandbox.events()] == [2]
    commands("dead", "discard", "--all", "--yes")
    assert "There are no dead letters" in commands("dead", "list").output
