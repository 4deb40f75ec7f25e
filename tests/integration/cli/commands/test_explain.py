"""Which events of a batch SegOps skipped, and why: SegOps is asked, and nothing is lost by it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support.commands import NOWHERE, closing_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.sandbox import Sandbox
    from support.commands import Commands

pytestmark = pytest.mark.one_python

QUICK = ("--per-minute", "600000")
REQUIRED = {"paid": ["amount"]}


@pytest.fixture
def skipped(commands: Commands, sandbox: Sandbox) -> Commands:
    """A device with the dead letters of a batch of ten, of which SegOps skipped the 3rd and 7th."""
    sandbox.configure(required=REQUIRED)
    with closing_client(commands) as client:
        client.track_many(
            {
                "user_id": "ann",
                "event_type": "paid",
                "payload": {"n": n, **({} if n in {2, 6} else {"amount": 5})},
            }
            for n in range(10)
        )
        assert client.flush(timeout=30).pending == 0
    assert commands.json("status")["dead"] == 10
    return commands


def listed(commands: Commands) -> list[dict[str, Any]]:
    return [json.loads(line) for line in commands("dead", "list", "--json").stdout.splitlines()]


def asked(sandbox: Sandbox) -> int:
    return sum(each["path"] == "/api/schemas/validate/" for each in sandbox.requests())


def test_those_that_do_not_fit_are_named_and_the_others_leave(
    skipped: Commands, sandbox: Sandbox
) -> None:
    accepted = skipped.json("status")["accepted_total"]
    result = skipped("dead", "explain", "5", "--json", *QUICK)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["id"] for each in found if each["outcome"] == "refused"] == [3, 7]
    assert {each["outcome"] for each in found} == {"refused", "delivered"}
    assert found[2]["why"] == '{"payload.amount": ["This field is required."]}'
    assert "8 were accepted, and have left the dead letters" in result.stderr
    left = listed(skipped)
    assert [(each["id"], each["cause"], each["event"]["payload"]["n"]) for each in left] == [
        (3, "refused", 2),
        (7, "refused", 6),
    ]
    assert left[0]["reason"] == f"SegOps skipped it: {found[2]['why']}"
    assert asked(sandbox) == 10
    assert skipped.json("status")["accepted_total"] == accepted == 8
    assert "is of no batch of which SegOps skipped" in (
        skipped("dead", "explain", "3", *QUICK, status=1).output
    )
    sandbox.configure()  # the schema is mended: what was refused for certain is sent again
    assert "2 put back" in skipped("dead", "retry").stdout
    skipped("drain")
    assert sorted(each["event"]["payload"]["n"] for each in sandbox.events()) == list(range(10))


def test_a_letter_that_is_written_anew_is_sound_and_shown_so(skipped: Commands) -> None:
    skipped("dead", "explain", "1", *QUICK)
    shown = json.loads(skipped("dead", "show", "7").stdout)
    assert (shown["cause"], shown["status"]) == ("refused", 202)
    assert shown["answer"] in shown["reason"]
    skipped("doctor", status=0)


def test_where_the_numbers_differ_nothing_is_changed(skipped: Commands, sandbox: Sandbox) -> None:
    before = listed(skipped)
    for required in ({}, {"paid": ["n", "amount", "tax"]}):
        sandbox.configure(required=required)
        result = skipped("dead", "explain", "5", "--json", *QUICK, status=1)
        found = [json.loads(line) for line in result.stdout.splitlines()]
        assert {each["outcome"] for each in found} == {"unclear"}
        assert [each["why"] is not None for each in found] == [bool(required)] * 10
        assert listed(skipped) == before


def test_of_a_batch_that_was_skipped_as_a_whole_nothing_leaves(
    commands: Commands, sandbox: Sandbox
) -> None:
    sandbox.configure(required=REQUIRED)
    with closing_client(commands) as client:
        client.track_many([{"user_id": "ann", "event_type": "paid"}] * 3)
        client.flush(timeout=30)
    commands("dead", "explain", "1", *QUICK)
    assert [each["reason"].partition(":")[0] for each in listed(commands)] == [
        "SegOps skipped it"
    ] * 3


def test_dry_run_only_says_it(skipped: Commands) -> None:
    before = listed(skipped)
    result = skipped("dead", "explain", "5", "--dry-run", *QUICK)
    assert "8 were accepted, and would leave the dead letters" in result.stderr
    assert listed(skipped) == before


def test_each_batch_is_explained_by_itself(skipped: Commands) -> None:
    with closing_client(skipped) as client:
        client.track_many(
            {"user_id": "bob", "event_type": "paid", "payload": {"amount": 1} if n else {}}
            for n in range(3)
        )
        client.flush(timeout=30)
    skipped("dead", "explain", "11", *QUICK)
    assert [each["id"] for each in listed(skipped)] == [*range(1, 12)]
    assert [each["cause"] for each in listed(skipped)] == ["skipped"] * 10 + ["refused"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 401}, "the API key is not accepted"),
        ({"status": 429, "retry_after": 3000.0}, "SegOps asks for patience"),
        ({"status": 404}, "no SegOps at api_url"),
        ({"portal": True}, "something other than SegOps answered"),
    ],
)
def test_where_segops_does_not_answer_the_letters_stay(
    skipped: Commands, sandbox: Sandbox, fault: dict[str, Any], said: str
) -> None:
    before = listed(skipped)
    skipped.env["SEGOPS_MAX_RETRIES"] = "0"
    sandbox.faults(**fault)
    output = skipped("dead", "explain", "5", *QUICK, status=1).output
    assert said in output
    assert "The dead letters are as they were" in output
    assert listed(skipped) == before


def test_offline_it_says_so_and_the_letters_stay(skipped: Commands, sandbox: Sandbox) -> None:
    before = listed(skipped)
    skipped.env["SEGOPS_MAX_RETRIES"] = "0"
    sandbox.stop()
    assert "refuses connections" in skipped("dead", "explain", "5", *QUICK, status=1).output
    assert listed(skipped) == before


def test_a_short_order_to_wait_is_obeyed_and_it_goes_on(
    skipped: Commands, sandbox: Sandbox
) -> None:
    sandbox.faults(status=429, retry_after=0.05, times=3)  # each has it ask less often
    skipped("dead", "explain", "5", *QUICK)
    assert [each["id"] for each in listed(skipped)] == [3, 7]


def test_a_public_key_another_address_and_other_letters_are_refused(
    skipped: Commands, sandbox: Sandbox
) -> None:
    before = asked(sandbox)
    assert "there is no dead letter 99" in skipped("dead", "explain", "99", status=1).output
    skipped.env["SEGOPS_API_KEY"] = "pk_test"
    assert "only to a secret key" in skipped("dead", "explain", "5", status=2).output
    skipped.env["SEGOPS_API_KEY"] = "sk_test"
    skipped.env["SEGOPS_API_URL"] = NOWHERE
    assert "the outbox is for" in skipped("dead", "explain", "5", status=2).output
    assert asked(sandbox) == before


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nobody is killed so")
def test_killed_half_way_it_has_changed_nothing(
    skipped: Commands, sandbox: Sandbox, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    before = listed(skipped)
    command = [sys.executable, "-m", "segops_durable", "dead", "explain", "5", *QUICK]
    sandbox.faults(delay=0.2)
    with subprocess.Popen(command, env={**os.environ, **skipped.env}) as process:
        wait_until(lambda: asked(sandbox) >= 4)
        process.kill()
    sandbox.faults()
    assert listed(skipped) == before
    skipped("dead", "explain", "5", *QUICK)
    assert [each["id"] for each in listed(skipped)] == [3, 7]
