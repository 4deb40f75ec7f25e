"""Drain sends all that waits, and says what is left."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from support.commands import Commands, closing_client, fill
from support.events import become_the_sender, numbered, numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python


def test_drain_sends_all_and_says_what_is_left(commands: Commands, sandbox: Sandbox) -> None:
    sandbox.stop()
    with closing_client(commands) as client:
        client.track_many(numbered(1200))
    result = commands.json("drain", "--timeout", "1", status=1)
    assert (result["sent"], result["waiting"]) == (0, 1200)
    sandbox.start()
    result = commands.json("drain")
    assert (result["sent"], result["waiting"], result["dead"]) == (1200, 0, 0)
    assert sorted(numbers(sandbox)) == list(range(1200))
    assert len(sandbox.requests()) == 3
    assert "0 sent" in commands("drain").output


def test_drain_sends_where_programs_are_told_to_append_only(
    commands: Commands, sandbox: Sandbox
) -> None:
    commands.env["SEGOPS_SENDS"] = "no"  # what they share
    fill(commands, sandbox, 3)
    assert commands.json("drain")["sent"] == 3
    assert numbers(sandbox) == [0, 1, 2]


def test_drain_sends_over_as_many_connections_as_it_is_told_to(
    commands: Commands, sandbox: Sandbox
) -> None:
    sandbox.stop()
    with closing_client(commands) as client:
        client.track_many(numbered(200))
    sandbox.start()
    result = commands.json("drain", "--connections", "3", "--batch-size", "10")
    assert (result["sent"], result["waiting"], result["dead"]) == (200, 0, 0)
    assert sorted(numbers(sandbox)) == list(range(200))


def test_the_batch_size_of_drain_is_what_it_says_whatever_a_backlog_is_sent_by(
    commands: Commands, sandbox: Sandbox
) -> None:
    sandbox.stop()
    with closing_client(commands) as client:
        client.track_many(numbered(200))
    sandbox.start()
    commands.env["SEGOPS_CATCH_UP_BATCH_SIZE"] = "30"
    commands.json("drain", "--batch-size", "100")
    assert [each["queued"] for each in sandbox.requests()] == [100, 100]


def test_drain_stops_when_a_round_has_sent_nothing(commands: Commands, sandbox: Sandbox) -> None:
    commands("track", "ann", "x")
    sandbox.configure(revoked_keys=["sk_test"])
    output = commands("drain", status=1).output
    assert "0 sent" in output
    assert "revoked" in output
    sandbox.configure()
    sandbox.faults(status=400)
    assert "dead list" in commands("drain", status=1).output


def test_drain_works_beside_a_client_that_sends(
    commands: Commands, sandbox: Sandbox, make_client: Callable[..., SegOpsClient]
) -> None:
    client = make_client(queue_path=commands.queue_path, flush_interval=0.2)
    become_the_sender(client)
    sandbox.faults(delay=0.1)
    client.track_many(numbered(100))
    result = commands.json("drain", "--timeout", "20")
    assert result["waiting"] == 0
    assert sorted(numbers(sandbox)) == list(range(-1, 100))


def test_drain_sends_at_the_hours_that_it_is_told_and_says_so_where_it_is_none(
    commands: Commands, sandbox: Sandbox
) -> None:
    commands("track", "ann", "x")
    now = datetime.now(timezone.utc).astimezone()
    later = f"{(now + timedelta(hours=2)):%H:%M}-{(now + timedelta(hours=3)):%H:%M}"
    around = f"{(now - timedelta(hours=1)):%H:%M}-{(now + timedelta(hours=1)):%H:%M}"
    output = commands("drain", "--only-between", later, status=1).output
    assert "1 wait" in output
    assert "--only-between" in output
    assert sandbox.requests() == []
    assert "'2-5'" in commands("drain", "--only-between", "2-5", status=2).output
    result = commands.json("drain", "--only-between", later, "--only-between", around)
    assert (result["sent"], result["waiting"]) == (1, 0)
